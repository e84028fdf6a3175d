"""Write what tests found into ``docs/promises.md``.

``python docs/promises.py suite.xml [omp.xml ...]`` reads reports that pytest wrote with
``--junitxml`` (`make promises` writes all of them), puts the outcome of each row's tests into
its last column, and a line for each report into the table of runs. Rows none of whose tests
ran, and runs without a report, stay as they are.
``tests/package/test_promises.py`` checks that each promise has a test, and each test an outcome.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

PAGE = Path(__file__).with_suffix(".md")

# A test's outcome in several runs is the first of these that it had in one.
OUTCOMES = ("failed", "passed", "expected to fail", "skipped")

# Outcome by the file and the name of a test.
Outcomes = dict[tuple[str, str], str]


class Run(NamedTuple):
    """What a report of pytest says."""

    day: str
    outcomes: Outcomes


def read(report: Path) -> Run:
    """Return the day of a report of pytest, and its outcomes."""
    tree = ElementTree.parse(report)
    outcomes = {}
    for case in tree.iter("testcase"):
        file = case.get("classname", "").rpartition(".")[2] + ".py"
        outcomes[file, case.get("name", "")] = _outcome(case)
    return Run(next(tree.iter("testsuite")).get("timestamp", "")[:10], outcomes)


def _outcome(case: ElementTree.Element) -> str:
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed"
    skipped = case.find("skipped")
    if skipped is None:
        return "passed"
    return "expected to fail" if skipped.get("type") == "pytest.xfail" else "skipped"


def merge(runs: Iterable[Outcomes]) -> Outcomes:
    """Return the outcomes of all runs together."""
    merged: Outcomes = {}
    for run in runs:
        for test, outcome in run.items():
            merged[test] = min(outcome, merged.get(test, outcome), key=OUTCOMES.index)
    return merged


def references(cell: str) -> list[tuple[str, str]]:
    """Return the files and the functions, or "" for all of a file, that a cell names."""
    return re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", cell)


def summary(outcomes: Iterable[str]) -> str:
    """Return how many there are of each outcome."""
    counts = Counter(outcomes)
    return ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in OUTCOMES if counts[outcome])


def result(cell: str, outcomes: Outcomes) -> str:
    """Return the outcome of the tests that a cell names."""
    return summary(
        outcome
        for (file, name), outcome in outcomes.items()
        if any(
            file == f and (not test or name.split("[")[0] == test) for f, test in references(cell)
        )
    )


def render(page: str, runs: dict[str, Run]) -> str:
    """Return the page with these results."""
    outcomes = merge(run.outcomes for run in runs.values())

    def with_result(match: re.Match[str]) -> str:
        return f"{match[1]} | {result(match[1], outcomes) or match[2]} |"

    page = re.sub(r"^(\| \d+ \|.*) \| ([^|]*) \|$", with_result, page, flags=re.MULTILINE)
    begin, end = "<!-- runs:begin -->\n", "<!-- runs:end -->"
    before, _, rest = page.partition(begin)
    old, _, after = rest.partition(end)
    lines = {name: line for line, name in re.findall(r"^(\| (\w+) \| \d.*)$", old, re.MULTILINE)}
    for name, run in runs.items():
        lines[name] = f"| {name} | {run.day} | {summary(run.outcomes.values())} |"
    table = "\n".join(["| run | day | outcome |", "| --- | --- | --- |", *lines.values()])
    return f"{before}{begin}\n{table}\n\n{end}{after}"


if __name__ == "__main__":
    reports = {Path(name).stem: read(Path(name)) for name in sys.argv[1:]}
    if not reports:
        sys.exit(__doc__)
    PAGE.write_text(render(PAGE.read_text(), reports))
