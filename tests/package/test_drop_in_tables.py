"""The pages on which fastnet's estimators stand beside those that they replace.

They are complete, up to date, and true where that can be told.
"""

import importlib.util
import re
from pathlib import Path

import pytest
import sklearn
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils._param_validation import make_constraint

from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor

DOCS = Path(__file__).parents[2] / "docs"
each_page = pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        ("mlpclassifier", MLPClassifier, SigmoidMLPClassifier),
        ("mlpregressor", MLPRegressor, SigmoidMLPRegressor),
    ],
    ids=["classifier", "regressor"],
)


def page_of(name):
    return (DOCS / f"{name}.md").read_text()


def rows(name, heading):
    """Return the rows of the table under a heading of a page, as lists of cells."""
    section = re.search(
        rf"^## {heading}\n(.*?)(?=^## |\Z)", page_of(name), re.MULTILINE | re.DOTALL
    )[1]
    lines = re.findall(r"^\| (.*) \|$", section, re.MULTILINE)
    # The first line is the header; the rule below it has no spaces.
    return [[cell.strip() for cell in line.split("|")] for line in lines[1:]]


def marks(name, heading):
    """Return the mark of each row by name."""
    return {row.strip("`"): mark for row, *_, mark in rows(name, heading)}


def code(text):
    """Return the names that a text has in code, without arguments."""
    return [re.match(r"\w+", span)[0] for span in re.findall(r"`(\w[^`]*)`", text)]


FEATURES = rows("mlpclassifier", "What its users asked for")
each_feature = pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature[0])


@pytest.mark.skipif(
    not sklearn.__version__.startswith("1.9."), reason="the tables are those of scikit-learn 1.9"
)
@each_page
def test_tables_are_those_of_the_classes(name, theirs, ours):
    spec = importlib.util.spec_from_file_location("drop_in", DOCS / "drop_in.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    page = page_of(name)
    assert generator.PAGES[DOCS / f"{name}.md"] == (theirs, ours)
    assert generator.render(page, theirs, ours) == page, "run `python docs/drop_in.py`"


@each_page
def test_everything_of_scikit_learns_has_a_row(name, theirs, ours):
    public = {method for method in dir(theirs) if not method.startswith("_")}
    described = theirs.__doc__.partition("Attributes\n")[2].partition("See Also\n")[0]
    attributes = set(re.findall(r"^ {4}(\w+_) : ", described, re.MULTILINE))
    assert len(attributes) > 12
    assert marks(name, "Parameters").keys() >= theirs().get_params().keys()
    assert marks(name, "Methods").keys() >= public
    assert marks(name, "Fitted attributes").keys() >= attributes


@each_page
def test_nothing_of_scikit_learns_is_missing_in_fastnet(name, theirs, ours):
    for heading in ("Parameters", "Methods", "Fitted attributes"):
        assert set(marks(name, heading).values()) <= {"same", "different", "only fastnet"}


def what_it_accepts(constraint):
    """Return a constraint in words; a set of strings has another order in each process."""
    made = make_constraint(constraint)
    if not hasattr(made, "options"):
        return str(made)
    options, deprecated = (sorted(map(str, names)) for names in (made.options, made.deprecated))
    return f"{made.type.__name__} {options} {deprecated}"


@each_page
def test_parameters_marked_as_the_same_take_the_same_values(name, theirs, ours):
    accepted = [
        {
            parameter: {what_it_accepts(constraint) for constraint in constraints}
            for parameter, constraints in cls._parameter_constraints.items()
        }
        for cls in (theirs, ours)
    ]
    same = [parameter for parameter, mark in marks(name, "Parameters").items() if mark == "same"]
    assert len(same) >= 20
    assert [accepted[0][parameter] for parameter in same] == [
        accepted[1][parameter] for parameter in same
    ]


def test_the_regressor_has_what_the_classifier_has():
    """Beyond scikit-learn's, but for what is about classes."""
    for heading in ("Parameters", "Methods", "Fitted attributes"):
        only = [
            {row for row, mark in marks(page, heading).items() if mark == "only fastnet"}
            for page in ("mlpclassifier", "mlpregressor")
        ]
        # Both have a loss, in the regressor it is scikit-learn's.
        assert only[0] - only[1] <= {"class_weight", "decision_function", "loss"}


@each_feature
def test_answers_exist(feature):
    headings = ("Parameters", "Methods", "Fitted attributes")
    known = {row for heading in headings for row in marks("mlpclassifier", heading)}
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
    files = re.findall(r"\((\.\./tests/\w+/\w+\.py)\)", feature[3])
    assert files
    assert all((DOCS / file).is_file() for file in files)
