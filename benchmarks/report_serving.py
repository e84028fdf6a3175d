"""The table of `benchmarks.serving`, from its JSON file."""

from statistics import median
from typing import Any

from .serving import NUMBA_TARGET, TARGETS
from .tables import machine_line, table


def render_serving(results: dict[str, Any]) -> str:
    """Return the time of a call of every contender, and the goals."""
    rows = results["rows"]
    names = list(dict.fromkeys(name for row in rows for name in row["microseconds"]))
    lines = [[_name(row), *(_cell(row, name) for name in names), _goal(row)] for row in rows]
    text = "Microseconds a call, the median of a run in which all took turns; float32, one thread."
    return "\n\n".join([machine_line(results["machine"]), text, table(["", *names, "goal"], lines)])


def _name(row: dict[str, Any]) -> str:
    count = row["n_rows"]
    return f"{'-'.join(map(str, row['sizes']))}, {count} row{'s' * (count > 1)}"


def _cell(row: dict[str, Any], name: str) -> str:
    taken = row["microseconds"].get(name)
    return "" if taken is None else f"{median(taken):.3g}"


def _goal(row: dict[str, Any]) -> str:
    """Return how long a row may take: `Predictor`, and in a loop where there is a goal."""
    sizes = tuple(row["sizes"])
    if row["n_rows"] == 1:
        return f"{TARGETS[sizes]:g}"
    loop = NUMBA_TARGET.get(sizes)
    return "" if loop is None else f"{loop * row['n_rows']:g} in a loop"
