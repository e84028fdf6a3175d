"""The page "What fastnet promises": no fault without a promise, a test and its outcome."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
PAGE = (ROOT / "docs" / "promises.md").read_text()

# How many faults the project has listed that a library like this meets in the field.
N_FAULTS = 32


def load_generator():
    path = ROOT / "docs" / "promises.py"
    spec = importlib.util.spec_from_file_location("promises", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generator = load_generator()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in re.findall(r"^\| \d+ .* \|$", PAGE, re.MULTILINE)
]
SECTIONS = re.findall(r"^## (?!The faults|Runs)(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])


def functions_of(file):
    """Return the names of the tests in a file."""
    # Files have names of their own, whatever folder they are in.
    (path,) = TESTS.rglob(file)
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def assert_exist(references):
    assert references
    for file, name in references:
        names = functions_of(file)
        assert any(n.startswith("test_") for n in names)
        assert not name or name in names


def test_every_fault_has_a_row():
    assert [row[0] for row in ROWS] == [str(number) for number in range(1, len(ROWS) + 1)]
    assert len(ROWS) >= N_FAULTS


@each_row
def test_a_promise_has_tests_that_exist_and_an_outcome(row):
    _, fault, promise, tests, result = row
    assert fault
    assert promise
    assert_exist(generator.references(tests))
    assert re.search(r"\d passed", result), "run `make promises`"
    assert "failed" not in result


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.splitlines()[0])
def test_a_section_names_tests_that_exist(section):
    assert_exist(generator.references(section.partition("\nTests: ")[2]))


def test_there_is_a_section_for_each_kind_of_promise():
    assert len(SECTIONS) == 10


def test_all_runs_were_made_and_none_has_failures():
    line = r"^\| ([a-z_]+) \| \d{4}-\d\d-\d\d \| (.*\bpassed.*) \|$"
    runs = dict(re.findall(line, PAGE, re.MULTILINE))
    made = re.search(r"^RUNS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert list(runs) == made.split()
    assert not [run for run, result in runs.items() if "failed" in result]


REPORT = """<testsuites><testsuite timestamp="2026-11-28T00:00:26.788975+00:00">
<testcase classname="tests.test_a" name="test_x[1]"/>
<testcase classname="tests.test_a" name="test_x[2]"><skipped type="pytest.skip"/></testcase>
<testcase classname="tests.test_a" name="test_xx"><failure>no</failure></testcase>
<testcase classname="tests.test_b" name="test_y"><skipped type="pytest.xfail"/></testcase>
</testsuite></testsuites>"""
BEFORE = """\
| 1 | a | b | `test_a.py::test_x` | old |
| 2 | a | b | `test_a.py`, `test_b.py` |  |
| 3 | a | b | `test_c.py` | 4 passed |
<!-- runs:begin -->

| run | day | outcome |
| --- | --- | --- |
| second | 2026-11-27 | old |
| third | 2026-11-27 | 4 passed |

<!-- runs:end -->
rest
"""
AFTER = """\
| 1 | a | b | `test_a.py::test_x` | 1 passed, 1 skipped |
| 2 | a | b | `test_a.py`, `test_b.py` | 1 failed, 1 passed, 1 expected to fail, 1 skipped |
| 3 | a | b | `test_c.py` | 4 passed |
<!-- runs:begin -->

| run | day | outcome |
| --- | --- | --- |
| second | 2026-11-28 | 2 passed, 1 expected to fail, 1 skipped |
| third | 2026-11-27 | 4 passed |
| first | 2026-11-28 | 1 failed, 1 passed, 1 expected to fail, 1 skipped |

<!-- runs:end -->
rest
"""


def test_outcomes_are_those_of_the_reports_and_the_rest_stays(tmp_path):
    (tmp_path / "first.xml").write_text(REPORT)
    (tmp_path / "second.xml").write_text(REPORT.replace("<failure>no</failure>", ""))
    runs = {name: generator.read(tmp_path / f"{name}.xml") for name in ("first", "second")}
    assert generator.render(BEFORE, runs) == AFTER
