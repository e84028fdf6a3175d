"""The tables of `benchmarks.dominance` and of `benchmarks.company`, from their JSON files."""

from collections.abc import Sequence
from typing import Any

from .company import (
    FIT_GAIN_TARGET,
    PREDICTION_GAIN_TARGET,
    RATIO_LIMIT,
    SLOWEST_LIMIT,
    is_slow,
)
from .dominance import N_WORST, NOISE, TARGETS, summarise
from .tables import machine_line, table


def render_dominance(runs: Sequence[dict[str, Any]]) -> str:
    """Return how every run went, and the worst of all of them by name."""
    lines = [
        [
            f"{mode}, seed {run['seed']}{', idle' * run['idle']}",
            f"{s['draws']}",
            *(f"{s[key]:.2f}" for key in ("least", "median", "geometric_mean")),
            f"{TARGETS[mode]:g}",
            f"{s['slower']}",
        ]
        for run in runs
        for mode, s in run["summary"].items()
    ]
    header = ["", "draws", "least", "median", "geometric mean", "target", "slower"]
    worst = [
        [row["name"], mode, f"{row['ratio']:.2f}"]
        for mode, s in summarise([row for run in runs for row in run["rows"]]).items()
        for row in s["worst"]
    ]
    text = (
        "MLPClassifier's time by fastnet's, both with what they do by default, one call after "
        f"the other; below {NOISE:g} fastnet is slower. The {N_WORST} worst of each:"
    )
    parts = [machine_line(runs[-1]["machine"]), table(header, lines), text]
    return "\n\n".join([*parts, table(["draw", "call", "ratio"], worst)])


def render_company(results: dict[str, Any]) -> str:
    """Return the ratios of every call, a column for each situation."""
    rows = results["rows"]
    piped = [row for row in rows if row["situation"] == "pipeline"]
    others = [row for row in rows if row["situation"] != "pipeline"]
    cells = {(row["call"], row["situation"]): _cell(row) for row in others}
    situations = list(dict.fromkeys(row["situation"] for row in others))
    lines = [
        [call, *(cells.get((call, situation), "") for situation in situations)]
        for call in dict.fromkeys(row["call"] for row in others)
    ]
    parts = [machine_line(results["machine"]), table(["", *situations], lines)]
    if piped:
        lines = [[row["call"].removeprefix("pipeline "), _cell(row)] for row in piped]
        parts += [table(["StandardScaler, PCA and predict_proba of", ""], lines)]
    return "\n\n".join([*parts, _describe_company(results)])


def _cell(row: dict[str, Any]) -> str:
    text = f"{row['ratio']:.2f}, {row['mean']:.2g}, {row['slowest']:.2g}"
    return f"**{text}**" if is_slow(row) else text


def _describe_company(results: dict[str, Any]) -> str:
    targets = {"fits": FIT_GAIN_TARGET, "predictions": PREDICTION_GAIN_TARGET}
    gains = [
        f"{mean:.2f} times for {kind} (target {targets[kind]:g})"
        for kind, mean in results["gains"].items()
    ]
    skipped = [f"{name} ({reason})" for name, reason in results["skipped"].items()]
    slow = sum(map(is_slow, results["rows"]))
    return (
        "The default `n_jobs` by `n_jobs=1`: the ratio of the medians, of the means, and of the "
        "slowest of up to a hundred calls, of fits fewer. In bold where the first is more than "
        f"{RATIO_LIMIT:g} or the last more than {SLOWEST_LIMIT:g}, {slow} of "
        f"{len(results['rows'])}. What the threads gain alone, on the three large fits and on "
        f"predictions of 20,000 rows and more, as geometric means: {', '.join(gains) or 'none'}. "
        "On one core, and under its quota, both are one thread: what differs there is noise. "
        f"Not measured: {', '.join(skipped) or 'none'}."
    )
