"""The page "fastnet and MLPClassifier": complete, up to date, and true where that can be told."""

import importlib.util
import re
from pathlib import Path

import pytest
import sklearn
from sklearn.neural_network import MLPClassifier
from sklearn.utils._param_validation import make_constraint

from fastnet import SigmoidMLPClassifier

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "mlpclassifier.md").read_text()


def rows(heading):
    """Return the rows of the table under a heading, as lists of cells."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    lines = re.findall(r"^\| (.*) \|$", section, re.MULTILINE)
    # The first line is the header; the rule below it has no spaces.
    return [[cell.strip() for cell in line.split("|")] for line in lines[1:]]


def marks(heading):
    """Return the mark of each row by name."""
    return {name.strip("`"): mark for name, *_, mark in rows(heading)}


def code(text):
    """Return the names that a text has in code, without arguments."""
    return [re.match(r"\w+", span)[0] for span in re.findall(r"`(\w[^`]*)`", text)]


FEATURES = rows("What its users asked for")
each_feature = pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature[0])


@pytest.mark.skipif(
    not sklearn.__version__.startswith("1.9."), reason="the tables are those of scikit-learn 1.9"
)
def test_tables_are_those_of_the_classes():
    path = ROOT / "docs" / "mlpclassifier.py"
    spec = importlib.util.spec_from_file_location("mlpclassifier", path)
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.render(PAGE) == PAGE, "run `python docs/mlpclassifier.py`"


def test_everything_of_mlpclassifier_has_a_row():
    public = {name for name in dir(MLPClassifier) if not name.startswith("_")}
    described = MLPClassifier.__doc__.partition("Attributes\n")[2].partition("See Also\n")[0]
    attributes = set(re.findall(r"^ {4}(\w+_) : ", described, re.MULTILINE))
    assert len(attributes) > 14
    assert marks("Parameters").keys() >= MLPClassifier().get_params().keys()
    assert marks("Methods").keys() >= public
    assert marks("Fitted attributes").keys() >= attributes


def test_nothing_of_mlpclassifier_is_missing_in_fastnet():
    for heading in ("Parameters", "Methods", "Fitted attributes"):
        assert set(marks(heading).values()) <= {"same", "different", "only fastnet"}


def test_parameters_marked_as_the_same_take_the_same_values():
    accepted = [
        {
            name: {str(make_constraint(c)) for c in cs}
            for name, cs in cls._parameter_constraints.items()
        }
        for cls in (MLPClassifier, SigmoidMLPClassifier)
    ]
    same = [name for name, mark in marks("Parameters").items() if mark == "same"]
    assert len(same) > 20
    assert [accepted[0][name] for name in same] == [accepted[1][name] for name in same]


@each_feature
def test_answers_exist(feature):
    known = {*marks("Parameters"), *marks("Methods"), *marks("Fitted attributes")}
    known |= {"X_val", "y_val", "sample_weight_val", "ConvergenceWarning", "UserWarning", "pickle"}
    assert known >= set(code(feature[2]))


@each_feature
def test_examples_are_in_the_docstrings(feature):
    for name in re.findall(r"\[(\w+)\]\(", feature[4]):
        # The class itself goes by its own name.
        documented = getattr(SigmoidMLPClassifier, name, SigmoidMLPClassifier)
        lines = re.findall(r"^ *(?:>>>|\.\.\.) .*", documented.__doc__, re.MULTILINE)
        assert any(word in line for word in code(feature[2]) for line in lines)


def test_every_feature_has_an_example():
    assert not [asked for asked, *_, example in FEATURES if not example.startswith("[")]


@each_feature
def test_test_files_exist(feature):
    files = re.findall(r"\((\.\./tests/\w+\.py)\)", feature[3])
    assert files
    assert all((ROOT / "docs" / file).is_file() for file in files)
