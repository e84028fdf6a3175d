"""Write what tests found into ``docs/promises.md``.

``python docs/promises.py suite.xml [omp.xml ...]`` reads reports that pytest wrote with
``--junitxml`` (`make promises` writes all of them), puts the outcome of each row's tests into
its last column, and a line for each report into the table of runs.
``tests/test_promises.py`` checks that each promise has a test, and each test an outcome.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

PAGE = Path(__file__).with_suffix(".md")

# A test's outcome in several runs is the first of these that it had in one.
OUTCOMES = ("failed", "passed", "expected to fail", "skipped")

# Outcome by the file and the name of a test.
Outcomes = dict[tuple[str, str], str]


def read(report: Path) -> Outcomes:
    """Return the outcomes that a report of pytest has."""
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        file = case.get("classname", "").rpartition(".")[2] + ".py"
        outcomes[file, case.get("name", "")] = _outcome(case)
    return outcomes


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


def render(page: str, runs: dict[str, Outcomes]) -> str:
    """Return the page with these results."""
    outcomes = merge(runs.values())

    def with_result(match: re.Match[str]) -> str:
        return f"{match[1]} | {result(match[1], outcomes)} |"

    page = re.sub(r"^(\| \d+ \|.*) \| [^|]* \|$", with_result, page, flags=re.MULTILINE)
    table = "".join(f"| {name} | {summary(run.values())} |\n" for name, run in runs.items())
    begin, end = "<!-- runs:begin -->\n", "<!-- runs:end -->"
    before, _, rest = page.partition(begin)
    after = rest.partition(end)[2]
    return f"{before}{begin}\n| run | outcome |\n| --- | --- |\n{table}\n{end}{after}"


if __name__ == "__main__":
    reports = {Path(name).stem: read(Path(name)) for name in sys.argv[1:]}
    if not reports:
        sys.exit(__doc__)
    PAGE.write_text(render(PAGE.read_text(), reports))
