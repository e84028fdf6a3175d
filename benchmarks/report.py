"""Write what was measured to the README and to pages of docs/, between their markers.

``python -m benchmarks.report [RESULTS [--compare FILE]] [--dominance FILE ...] [--company FILE]
[--serving FILE]``, where RESULTS comes from ``pytest benchmarks --benchmark-json`` and the others
from the ``--json`` of the scripts of their names. What is not given stays as it was.
"""

import argparse
import functools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .compare import ADAM_TARGET, MEAN_TARGETS
from .report_never_slower import render_company, render_dominance
from .report_serving import render_serving
from .tables import duration, machine_line, replace_section, table


class Row(NamedTuple):
    """fastnet's best time, and how many times longer the others took alternately."""

    name: str
    dtype: str
    seconds: float
    ratios: dict[str, dict[str, Any]]
    rival: str | None = None
    target: float | None = None
    gflops: float | None = None
    gemm_share: dict[str, Any] | None = None


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the measurements, rewrite the pages."""
    parser = argparse.ArgumentParser("python -m benchmarks.report", description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", help="JSON file of pytest-benchmark")
    parser.add_argument("--compare", type=Path, help="JSON file of benchmarks.compare")
    parser.add_argument("--dominance", type=Path, nargs="+", help="of benchmarks.dominance")
    parser.add_argument("--company", type=Path, help="JSON file of benchmarks.company")
    parser.add_argument("--serving", type=Path, help="JSON file of benchmarks.serving")
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--engine", type=Path, default=Path("docs/engine.md"))
    parser.add_argument("--after-fit", type=Path, default=Path("docs/after-fit.md"))
    options = parser.parse_args(arguments)
    if options.results is not None:
        compared = None if options.compare is None else _read(options.compare)
        _rewrite(options.readme, "benchmarks", render(_read(options.results), compared))
    if options.dominance is not None:
        runs = [_read(path) for path in options.dominance]
        _rewrite(options.readme, "dominance", render_dominance(runs))
    if options.company is not None:
        _rewrite(options.engine, "company", render_company(_read(options.company)))
    if options.serving is not None:
        _rewrite(options.after_fit, "serving", render_serving(_read(options.serving)))


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _rewrite(page: Path, name: str, section: str) -> None:
    page.write_text(replace_section(page.read_text(), name, section))


def render(results: dict[str, Any], compared: dict[str, Any] | None) -> str:
    """Return the section: machine, epochs, prediction, sparse, kernels, start-up."""
    parts = [
        _describe_machine((compared or {}).get("machine") or results["machine_info"]["fastnet"])
    ]
    parts += ["### One epoch"]
    if compared is None:
        parts += [_ratio_table(_rows(results, "epoch: "))]
    else:
        parts += [_ratio_table(map(_compared_row, compared["epochs"])), _describe_means(compared)]
        parts += ["### Adam", _describe_adam(compared)]
    parts += ["### Prediction", _ratio_table(_rows(results, "predict_proba: "))]
    if compared is not None and compared["predictions"]:
        parts += [_ratio_table(map(_compared_row, compared["predictions"]))]
    parts += ["### Sparse features, two epochs", _ratio_table(_rows(results, "sparse: "))]
    parts += ["### Kernels, each alone"]
    kernels = [row for kind in ("sigmoid ", "dense ") for row in _rows(results, kind)]
    parts += [_ratio_table(kernels), "### Start-up", _start_up_table(results)]
    return "\n\n".join(parts)


def _describe_machine(machine: dict[str, Any]) -> str:
    return (
        f"{machine_line(machine)}\n\n"
        "A column with a library's name says how many times longer it takes than fastnet: the "
        "median of ratios of times taken alternately. Absolute times are the best of a run."
    )


def _rows(results: dict[str, Any], prefix: str) -> list[Row]:
    """Return fastnet's benchmarks whose group begins with a prefix."""
    rows = []
    for benchmark in results["benchmarks"]:
        info = benchmark["extra_info"]
        if benchmark["group"].startswith(prefix) and info["contender"] == "fastnet":
            name, _, dtype = benchmark["group"].rpartition(", ")
            name = name.rpartition(": ")[2] if prefix.endswith(": ") else name
            rows.append(Row(name, dtype, benchmark["stats"]["min"], info["ratios"]))
    return rows


def _compared_row(result: dict[str, Any]) -> Row:
    return Row(
        result["name"],
        result["dtype"],
        min(result["times"]["fastnet"]),
        result["ratios"],
        result["rival"],
        result["target"],
        result.get("gflops"),
        result.get("gemm_share"),
    )


def _ratio_table(rows: Iterable[Row]) -> str:
    """Lay out all ratios; beside a rival its interval and the target; and the rate."""
    rows = list(rows)
    peers = list(dict.fromkeys(name for row in rows for name in row.ratios))
    columns: dict[str, Callable[[Row], str]] = {
        "": lambda row: row.name,
        "dtype": lambda row: row.dtype,
        "fastnet": lambda row: duration(row.seconds),
        **{name: functools.partial(_ratio_to, name) for name in peers},
    }
    if any(row.rival is not None for row in rows):
        columns["rival"] = _rival
        columns["target"] = lambda row: "" if row.target is None else f"{row.target:g}"
    if any(row.gflops is not None for row in rows):
        columns["GFLOP/s, of GEMM's"] = _rate
    return table(list(columns), [[cell(row) for cell in columns.values()] for row in rows])


def _ratio_to(name: str, row: Row) -> str:
    return f"{row.ratios[name]['median']:.3g}" if name in row.ratios else ""


def _rival(row: Row) -> str:
    if row.rival is None:
        return ""
    ratio = row.ratios[row.rival]
    return f"{row.rival} {ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def _rate(row: Row) -> str:
    share = "" if row.gemm_share is None else f", {row.gemm_share['median']:.0%}"
    return "" if row.gflops is None else f"{row.gflops:.1f}{share}"


def _start_up_table(results: dict[str, Any]) -> str:
    times: dict[str, dict[str, float]] = {}
    for benchmark in results["benchmarks"]:
        if benchmark["group"].startswith("start-up: "):
            cache = benchmark["group"].removeprefix("start-up: ")
            contender = benchmark["extra_info"]["contender"]
            times.setdefault(cache, {})[contender] = benchmark["stats"]["min"]
    contenders = list(next(iter(times.values()), {}))
    return table(
        ["import, fit and predict on 1,000 rows in a new process", *contenders],
        [
            [f"{cache} cache", *(duration(by_contender[name]) for name in contenders)]
            for cache, by_contender in times.items()
        ],
    )


def _describe_means(compared: dict[str, Any]) -> str:
    means = [
        f"{mean:.1f} times {peer} in {dtype} (target {MEAN_TARGETS[peer]:g})"
        for dtype, by_peer in compared["geometric_means"].items()
        for peer, mean in by_peer.items()
    ]
    skipped = [f"{name} ({reason})" for name, reason in compared["skipped"].items()]
    return (
        "The rival is the fastest peer, its ratio with a 95 % confidence interval. GFLOP/s are "
        "those of the matrix products alone, and their share of what numpy's product of "
        "2048-cubes reached in the same rounds. "
        f"Geometric means over the rows with a target: {', '.join(means) or 'none'}. "
        f"Not installed, so not measured: {', '.join(skipped) or 'none'}."
    )


def _describe_adam(compared: dict[str, Any]) -> str:
    by_name: dict[str, dict[str, str]] = {}
    for row in compared["adam"]:
        by_name.setdefault(row["name"], {})[row["dtype"]] = f"{row['ratio']['median']:.2f}"
    dtypes = list(next(iter(by_name.values()), {}))
    lines = table(
        ["an epoch with Adam by one of plain descent", *dtypes],
        [[name, *(ratios[dtype] for dtype in dtypes)] for name, ratios in by_name.items()],
    )
    return f"{lines}\n\nMeant to be at most {ADAM_TARGET:g}."


if __name__ == "__main__":
    main()
