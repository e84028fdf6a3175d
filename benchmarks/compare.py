"""Race an epoch, and prediction, against every peer that is installed.

``python -m benchmarks.compare --json benchmarks/compare.json``

All contenders of a row take turns in one run, each warm, each with the same number of
threads, each checked against the numpy baseline first. A ratio is the median over the
rounds of the peer's time by fastnet's; above 1 fastnet is faster.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any, NamedTuple, TypeVar

from . import fastnet_entry
from .checks import assert_close, check_epoch
from .interleave import Ratio, interleave
from .machine import GEMM_FLOPS, N_THREADS, describe_machine, make_gemm
from .peers import (
    Contender,
    Peer,
    Predictor,
    peer_fann,
    peer_jax,
    peer_numpy,
    peer_onnxruntime,
    peer_sklearn,
    peer_torch,
)
from .workloads import DTYPES, WORKLOADS, FloatArray, Problem, Workload, make_problem

AnyPeer = TypeVar("AnyPeer", bound=Peer)

TRAINERS: tuple[Contender, ...] = (
    fastnet_entry,
    peer_numpy,
    peer_sklearn,
    peer_torch,
    peer_jax,
    peer_fann,
)
PREDICTORS: tuple[Predictor, ...] = (
    fastnet_entry,
    peer_numpy,
    peer_sklearn,
    peer_torch,
    peer_jax,
    peer_onnxruntime,
)

# How many times faster than the fastest peer fastnet means to be (docs/engine.md).
TARGETS = {
    "2-2-1 batch 1": {"float32": 2.2, "float64": 2.5},
    "3-2-1 batch 32": {"float32": 8.0, "float64": 6.0},
    "28-64-1 batch 200": {"float32": 2.5, "float64": 2.8},
    "28-64-64-1 batch 200": {"float32": 2.3, "float64": 2.8},
    "784-128-10 batch 128": {"float32": 2.3, "float64": 2.5},
    "784-1024-1024-10 batch 512": {"float32": 1.25, "float64": 1.6},
    "28-64-1 batch 1": {"float32": 8.0, "float64": 6.0},
}
# As geometric means over those rows.
MEAN_TARGETS = {"scikit-learn": 25.0, "torch": 25.0}


# Other shapes, without targets: nothing is made for the rows above alone.
OTHER_WORKLOADS = (
    Workload((10, 5, 3), batch_size=2, n_rows=20_000),
    Workload((4, 12, 12, 3), batch_size=8, n_rows=50_000),
    Workload((8, 16, 1), batch_size=32, n_rows=100_000),
    Workload((30, 100, 10), batch_size=64, n_rows=50_000),
    Workload((100, 50, 50, 50, 5), batch_size=200, n_rows=50_000),
    Workload((64, 256, 256, 3), batch_size=100, n_rows=20_000),
    Workload((300, 500, 1), batch_size=1_000, n_rows=20_000),
    Workload((20, 200, 3), batch_size=20_000, n_rows=20_000),
)
# Adam's epoch by plain descent's, at the most.
ADAM_TARGET = 1.5


class Prediction(NamedTuple):
    """A row of the table of predictions; the target is relative to onnxruntime."""

    sizes: tuple[int, ...]
    n_rows: int
    target: float


PREDICTIONS = (
    Prediction((28, 64, 1), 1_000_000, target=3.0),
    Prediction((784, 128, 10), 60_000, target=1.3),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write a JSON file if asked to."""
    options = _parse(arguments)
    everything = (*WORKLOADS, *OTHER_WORKLOADS)
    workloads = [w for w in everything if any(part in w.name for part in options.rows)]
    _warn_of_slow_blas()
    skipped = _announce_skipped()
    epochs = []
    for dtype in options.dtypes:
        print(f"\nOne epoch, {dtype}, ms")
        _print_header([c.NAME for c in _available(TRAINERS)], "GFLOP/s  of GEMM's")
        for workload in workloads:
            row = race_epoch(workload, dtype, options.pairs)
            _print_row(row, f"{row['gflops']:7.1f}  {row['gemm_share']['median']:9.0%}")
            epochs.append(row)
    means = _geometric_means(epochs)
    adam = [] if options.no_adam else _race_adam(options.pairs)
    predictions = [] if options.no_prediction else _race_predictions(options.pairs)
    if options.json is not None:
        results = {
            "machine": describe_machine(),
            "skipped": skipped,
            "epochs": epochs,
            "geometric_means": means,
            "adam": adam,
            "predictions": predictions,
        }
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.compare", description=__doc__)
    parser.add_argument(
        "--rows", nargs="+", default=[""], help="parts of the names of workloads; default all"
    )
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES)
    parser.add_argument("--pairs", type=int, default=15, help="rounds of a row, at the most")
    parser.add_argument("--no-prediction", action="store_true", help="epochs only")
    parser.add_argument("--no-adam", action="store_true", help="plain descent only")
    parser.add_argument("--json", type=Path, help="file to write all rounds to")
    options = parser.parse_args(arguments)
    if options.pairs < 2:
        parser.error("--pairs must be 2 or more")
    return options


def _available(contenders: Iterable[AnyPeer]) -> list[AnyPeer]:
    return [contender for contender in contenders if contender.available() is None]


def _warn_of_slow_blas() -> None:
    """Say so where an old processor's code is forced on OpenBLAS: it halves numpy's speed."""
    for name in {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"} & os.environ.keys():
        print(f"warning: {name} is set, numpy is not at its best; run with env -u {name}")


def _announce_skipped() -> dict[str, str]:
    """Say by name which peers are missing, and why."""
    skipped = {
        contender.NAME: reason
        for contender in (*TRAINERS, *PREDICTORS)
        if (reason := contender.available()) is not None
    }
    for name, reason in skipped.items():
        print(f"skipped: {name}: {reason}")
    return skipped


def race_epoch(workload: Workload, dtype: str, n_rounds: int) -> dict[str, Any]:
    """Measure one row: an epoch by everybody who can do it."""
    problem = make_problem(workload, dtype)
    contenders = [c for c in _available(TRAINERS) if c.unsupported(workload) is None]

    def check() -> None:
        for contender in contenders:
            check_epoch(contender, problem, N_THREADS)

    # What a fit does once is no part of an epoch: short ones are timed several at once.
    n_epochs = max(1, 20_000 // workload.n_rows)
    calls = {c.NAME: _epochs_of(c, problem, n_epochs) for c in contenders}
    calls["GEMM"] = make_gemm(dtype, N_THREADS)
    times = interleave(calls, check, n_rounds, max_seconds=30)
    # The machine's peak drifts as everything does, so it takes its turn as well.
    gemm = [seconds / GEMM_FLOPS for seconds in times.pop("GEMM")]
    times = {name: [seconds / n_epochs for seconds in taken] for name, taken in times.items()}
    own = [seconds / workload.flops for seconds in times["fastnet"]]
    return {
        "name": workload.name,
        "dtype": dtype,
        "n_rows": workload.n_rows,
        "loss": workload.loss,
        "target": TARGETS.get(workload.name, {}).get(dtype),
        "gflops": 1e-9 / min(own),
        "gemm_gflops": 1e-9 / min(gemm),
        "gemm_share": Ratio.of(gemm, own).as_dict(),
        **_judge(times, versus=None),
    }


def _epochs_of(contender: Contender, problem: Problem, n_epochs: int) -> Callable[[], object]:
    """Return a call that trains for so many epochs."""
    if contender is fastnet_entry:
        return fastnet_entry.make_epoch(problem, N_THREADS, shuffle=True, n_epochs=n_epochs)
    epoch = contender.make_epoch(problem, N_THREADS, shuffle=True)

    def call() -> None:
        for _ in range(n_epochs):
            epoch()

    return call


def _race_adam(n_rounds: int) -> list[dict[str, Any]]:
    """Measure what Adam's epoch costs by plain descent's, for every row with a target."""
    print(f"\nAdam's epoch by plain descent's (at most {ADAM_TARGET:g})")
    rows = []
    for workload in WORKLOADS:
        if workload.name not in TARGETS:
            continue
        for dtype in DTYPES:
            problem = make_problem(workload, dtype)
            n_epochs = max(1, 20_000 // workload.n_rows)
            calls = {
                name: fastnet_entry.make_epoch(
                    problem, N_THREADS, shuffle=True, n_epochs=n_epochs, adam=name == "adam"
                )
                for name in ("sgd", "adam")
            }
            times = interleave(calls, None, n_rounds)
            ratio = Ratio.of(times["adam"], times["sgd"]).as_dict()
            rows.append({"name": workload.name, "dtype": dtype, "ratio": ratio})
            print(f"{workload.name:30}{dtype:10}{ratio['median']:6.2f}", flush=True)
    return rows


def _race_predictions(n_rounds: int) -> list[dict[str, Any]]:
    print("\npredict_proba, float32, ms")
    _print_header([p.NAME for p in _available(PREDICTORS)], "  M rows/s")
    results = []
    for prediction in PREDICTIONS:
        row = race_prediction(prediction, "float32", n_rounds)
        rate = prediction.n_rows / min(row["times"]["fastnet"]) / 1e6
        _print_row(row, f"{rate:10.2f}")
        results.append(row)
    return results


def race_prediction(prediction: Prediction, dtype: str, n_rounds: int) -> dict[str, Any]:
    """Measure one row: ``predict_proba`` by everybody who can do it."""
    sizes, n_rows, target = prediction
    problem = make_problem(Workload(sizes, batch_size=200, n_rows=n_rows), dtype)
    calls = {p.NAME: p.make_prediction(problem, N_THREADS) for p in _available(PREDICTORS)}
    times = interleave(calls, lambda: _check_predictions(calls, problem), n_rounds)
    return {
        "name": f"{'-'.join(map(str, sizes))}, {n_rows:,} rows",
        "dtype": dtype,
        "n_rows": n_rows,
        "target": target if "onnxruntime" in calls else None,
        **_judge(times, versus="onnxruntime"),
    }


def _check_predictions(calls: dict[str, Callable[[], FloatArray]], problem: Problem) -> None:
    expected = calls["numpy"]()
    for predict in calls.values():
        actual = predict()
        # Of two classes, some return the second only.
        assert_close(actual, expected[:, -actual.shape[1] :], problem.dtype)


def _judge(times: dict[str, list[float]], versus: str | None) -> dict[str, Any]:
    """Compare fastnet with each peer, and with the fastest or the one that is named."""
    peers = [name for name in times if name != "fastnet"]
    rival = versus if versus in peers else min(peers, key=lambda name: median(times[name]))
    ratios = {name: Ratio.of(times[name], times["fastnet"]).as_dict() for name in peers}
    return {"rival": rival, "ratios": ratios, "times": times}


def _geometric_means(epochs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the mean ratio to a peer over the rows that have a target, by dtype."""
    means: dict[str, dict[str, float]] = {}
    for dtype in dict.fromkeys(row["dtype"] for row in epochs):
        rows = [r for r in epochs if r["dtype"] == dtype and r["target"] is not None]
        for peer, target in MEAN_TARGETS.items():
            ratios = [r["ratios"][peer]["median"] for r in rows if peer in r["ratios"]]
            if ratios:
                mean = geometric_mean(ratios)
                means.setdefault(dtype, {})[peer] = mean
                print(
                    f"{dtype}: {mean:.1f} times {peer}, geometric mean of {len(ratios)} rows"
                    f" (target {target:g})"
                )
    return means


def _print_header(names: list[str], last: str) -> None:
    columns = "".join(f"{name:>13}" for name in names)
    print(f"{'':30}{columns}  {'rival':>12}{'ratio':>7}  {'interval':>15}{'target':>7}  {last}")


def _print_row(row: dict[str, Any], last: str) -> None:
    names = [c.NAME for c in _available(TRAINERS if "gflops" in row else PREDICTORS)]
    times = "".join(
        f"{median(row['times'][name]) * 1e3:13.3f}" if name in row["times"] else f"{'-':>13}"
        for name in names
    )
    ratio = row["ratios"][row["rival"]]
    interval = f"[{ratio['low']:.2f}, {ratio['high']:.2f}]"
    target = "" if row["target"] is None else f"{row['target']:g}"
    print(
        f"{row['name']:30}{times}  {row['rival']:>12}{ratio['median']:7.2f}"
        f"  {interval:>15}{target:>7}  {last}",
        flush=True,
    )


if __name__ == "__main__":
    main()
