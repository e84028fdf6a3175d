"""What several threads cost, and gain, in the company that users run them in.

``python -m benchmarks.company [--json FILE]``

Public calls with the default `n_jobs` and with ``n_jobs=1``, alternately, their bits
compared first: alone, beside a busy process, right after other libraries, in a pipeline,
in two processes, in eight Python threads, on one core, under a quota. Each situation is a
process of its own, so that no thread of another one is left.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean, geometric_mean, median
from typing import Any

from .company_calls import (
    GAINING_FITS,
    GAINING_PREDICTIONS,
    PIPELINES,
    WORK,
    Call,
    Pair,
    Work,
    chosen,
    make_pair,
)
from .machine import describe_machine
from .neighbours import Twin, be_twin, predecessors, spinning_process
from .quota import quota
from .turns import LEAD_SECONDS, alternate

# How much longer than one thread's the default may take: medians, and the slowest calls.
RATIO_LIMIT = 1.15
SLOWEST_LIMIT = 3.0
FIT_GAIN_TARGET = 1.6
PREDICTION_GAIN_TARGET = 1.7

AFTER = "right after "
SITUATIONS = (
    "alone",
    "beside a busy process",
    f"{AFTER}BLAS",
    f"{AFTER}HistGradientBoosting",
    f"{AFTER}KNeighbors",
    f"{AFTER}Nystroem",
    "pipeline",
    "two processes",
    "eight threads",
    "one core",
    "quota of one core",
)
# Those whose processes are bounded from their start.
PLACED = ("one core", "quota of one core")
N_CALLERS = 8
CALLS_OF_EACH = 4


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write a JSON file if asked to."""
    options = _parse(arguments)
    if options.twin is not None:
        works = _works(options.inside, options)
        be_twin(options.twin, lambda i: _make_pair(works[i], options))
    elif options.inside is not None:
        results = _measure_situation(options.inside, options)
        options.json.write_text(json.dumps(results))
    else:
        _run_all(options)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.company", description=__doc__)
    parser.add_argument("--situations", nargs="+", default=[""], help="parts of their names")
    parser.add_argument("--calls", nargs="+", default=[""], help="parts of their names")
    parser.add_argument("--rounds", type=int, default=100, help="of a call, at the most")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write all times to")
    parser.add_argument("--shortened", action="store_true", help="few rows, 2 rounds")
    # What this script calls itself with.
    parser.add_argument("--inside", choices=SITUATIONS, help=argparse.SUPPRESS)
    parser.add_argument("--twin", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.shortened:
        options.rounds = 2
    return options


def _run_all(options: argparse.Namespace) -> None:
    """Measure every situation in a process of its own."""
    situations = [s for s in SITUATIONS if any(part in s for part in options.situations)]
    if not options.shortened:
        _warm_up(options.dtype)
    rows: list[dict[str, Any]] = []
    machine: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    for situation in situations:
        print(f"\n{situation}", flush=True)
        # Where nothing is timed, processes of their own are for those that need one.
        is_inside = options.shortened and situation not in PLACED
        try:
            run = _measure_situation if is_inside else _run_inside
            results = run(situation, options)
            rows += results["rows"]
            machine = machine or results["machine"]
        except subprocess.CalledProcessError:
            raise
        except (OSError, subprocess.SubprocessError) as error:
            # No control group could be made, or joined.
            skipped[situation] = str(error)
            print(f"skipped: {error}")
    means = gains(rows)
    if not options.shortened:
        _print_summary(rows, means)
    if options.json is not None:
        results = {"machine": machine, "skipped": skipped, "rows": rows, "gains": means}
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def _warm_up(dtype: str) -> None:
    """Have all kernels compiled, so that nothing compiles while it is timed."""
    command = [sys.executable, "-m", "fastnet", "warmup", "--dtypes", dtype]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _run_inside(situation: str, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, _placed(situation) as place:
        path = Path(folder, "rows.json")
        command = [*_command(situation, options), "--json", str(path)]
        subprocess.run(command, check=True, preexec_fn=place)
        return json.loads(path.read_text())


def _command(situation: str, options: argparse.Namespace) -> list[str]:
    values = {"--rounds": options.rounds, "--dtype": options.dtype, "--seed": options.seed}
    return [
        *(sys.executable, "-m", "benchmarks.company", "--inside", situation),
        *(str(part) for item in values.items() for part in item),
        *(["--shortened"] if options.shortened else []),
        *("--calls", *options.calls),
    ]


@contextlib.contextmanager
def _placed(situation: str) -> Iterator[Callable[[], None]]:
    """Yield what the new process does first: where the situation bounds it, so from its start."""
    if situation == "quota of one core":
        with quota(1) as join:
            yield join
    elif situation == "one core":
        core = min(os.sched_getaffinity(0))
        yield lambda: os.sched_setaffinity(0, {core})
    else:
        yield lambda: None


def _works(situation: str, options: argparse.Namespace) -> list[Work]:
    """Return the calls of a situation; several threads can share an estimator to predict."""
    works = chosen(PIPELINES if situation == "pipeline" else WORK, options.calls)
    if options.shortened:
        works = list({(work.method, work.is_full_batch): work for work in works}.values())
    return [work for work in works if situation != "eight threads" or not work.is_training]


def _make_pair(work: Work, options: argparse.Namespace) -> Pair:
    return make_pair(work, options.dtype, options.seed, options.shortened)


def _measure_situation(situation: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the rows of all calls, and what they were measured on."""
    rows = list(_rows(situation, options))
    return {"machine": describe_machine(), "rows": rows}


def _rows(situation: str, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure each call, print it, and yield its times."""
    before = predecessors()[situation.removeprefix(AFTER)] if AFTER in situation else None
    with contextlib.ExitStack() as stack:
        twin = None
        if situation == "two processes":
            command = [*_command(situation, options), "--twin"]
            twin = stack.enter_context(Twin(command))
        if situation == "beside a busy process":
            stack.enter_context(spinning_process())
        for i, work in enumerate(_works(situation, options)):
            pair = _make_pair(work, options)
            if situation == "eight threads":
                pair = Pair(*map(_by_many, pair))
            turn = None if twin is None else lambda form, i=i: twin.turn(i, form)
            lead_seconds = 0.0 if options.shortened else LEAD_SECONDS
            times = alternate(pair, before, turn, options.rounds, lead_seconds)
            row = judge(situation, work.name, *times)
            _print_row(row, is_judged=not options.shortened)
            yield row


def _by_many(call: Call) -> Call:
    """Return a call that has several Python threads make it."""
    pool = ThreadPoolExecutor(N_CALLERS)
    return lambda: list(pool.map(lambda _: call(), range(N_CALLERS * CALLS_OF_EACH)))


def judge(
    situation: str, name: str, default: Sequence[float], serial: Sequence[float]
) -> dict[str, Any]:
    """Return the row of a call: times, and the default's by one thread's.

    Where other processes want the cores, a median may be that of the time slices in which
    they do not run; the mean is of all.
    """
    return {
        "situation": situation,
        "call": name,
        "default": list(default),
        "serial": list(serial),
        "ratio": median(default) / median(serial),
        "mean": fmean(default) / fmean(serial),
        "slowest": max(default) / max(serial),
    }


def is_slow(row: dict[str, Any]) -> bool:
    """Return whether several threads cost more than they may."""
    return bool(row["ratio"] > RATIO_LIMIT or row["slowest"] > SLOWEST_LIMIT)


def gains(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return how many times faster the default is, alone: geometric means of large calls."""
    means = {}
    for kind, names in (("fits", GAINING_FITS), ("predictions", GAINING_PREDICTIONS)):
        ratios = [
            1 / row["ratio"] for row in rows if row["situation"] == "alone" and row["call"] in names
        ]
        if ratios:
            means[kind] = geometric_mean(ratios)
    return means


def _print_row(row: dict[str, Any], is_judged: bool) -> None:
    if not is_judged:
        print(f"  {row['call']:36}the same bits, {len(row['default'])} rounds", flush=True)
        return
    default, serial = (median(row[form]) * 1e3 for form in ("default", "serial"))
    flags = (row["ratio"] > RATIO_LIMIT) * f"  > {RATIO_LIMIT:g}"
    flags += (row["slowest"] > SLOWEST_LIMIT) * f"  slowest > {SLOWEST_LIMIT:g}"
    print(
        f"  {row['call']:36}{default:10.3f} ms{serial:10.3f} ms  ratio{row['ratio']:7.2f}"
        f"  mean{row['mean']:7.2f}  slowest of {len(row['default']):3}{row['slowest']:8.2f}{flags}",
        flush=True,
    )


def _print_summary(rows: Sequence[dict[str, Any]], means: dict[str, float]) -> None:
    slow = sum(map(is_slow, rows))
    print(
        f"\n{slow} of {len(rows)} take more than {RATIO_LIMIT:g} times one thread's median, or"
        f" {SLOWEST_LIMIT:g} times its slowest"
    )
    targets = {"fits": FIT_GAIN_TARGET, "predictions": PREDICTION_GAIN_TARGET}
    for kind, mean in means.items():
        print(f"alone, {kind}: {mean:.2f} times one thread's speed (target {targets[kind]:g})")


if __name__ == "__main__":
    main()
