"""Race scikit-learn's MLPClassifier on work that is drawn at random, the defaults most often.

``python -m benchmarks.dominance [--seed 0] [--draws 40] [--json FILE]``

Both estimators, by their public methods, fit, predict, and predict behind a scaler and PCA.
Calls follow one another at once, as they do for users: the threads that OpenBLAS leaves
spinning are part of the picture. A ratio is the opponent's median time by fastnet's; above
1 fastnet is faster. ``--only "0/3 122-14-1 sgd"`` repeats a draw by the beginning of its
name, seed and index; or ``--only 3``.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPClassifier

from .draws import Draw, draw
from .interleave import MIN_ROUNDS, interleave
from .machine import describe_machine

Calls = Mapping[str, Callable[[], Any]]

# A ratio below is a loss; above, up to 1, it is noise.
NOISE = 0.95
# Geometric means that fastnet means to reach.
TARGETS = {"fit": 7.0, "predict_proba": 3.0, "pipeline": 1.1}
N_WORST = 5
# Results are compared after so many epochs; until then rounding has not grown.
N_CHECKED = 3
# float32 rounds, and Adam divides small gradients by their own size.
TOLERANCE = {"float64": 1e-6, "float32": 1e-2}
MOST_ROUNDS = 201
MODE_SECONDS = 1.5
MOST_COMPONENTS = 50
MOST_PIPELINE_ROWS = 2_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, race, print, and write a JSON file if asked to."""
    options = _parse(arguments)
    if not options.shortened:
        _warm_up()
    rows = [row for one in _draws(options) for row in race(one, options)]
    summary = summarise(rows)
    if not options.shortened:
        _print_summary(summary)
    if options.json is not None:
        results = {
            "machine": describe_machine(),
            "seed": options.seed,
            "idle": options.idle,
            "rows": rows,
            "summary": summary,
        }
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.dominance", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--only", nargs="+", help="names of draws, or their beginnings")
    parser.add_argument("--modes", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--idle", action="store_true", help="wait for spinning threads to stop")
    parser.add_argument("--json", type=Path, help="file to write all ratios to")
    parser.add_argument("--shortened", action="store_true", help="few rows, nothing timed")
    return parser.parse_args(arguments)


def _warm_up() -> None:
    """Have all kernels compiled, so that nothing compiles while it is timed."""
    command = [sys.executable, "-m", "fastnet", "warmup", "--sparse"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _draws(options: argparse.Namespace) -> list[Draw]:
    if options.only is not None:
        places = (name.split()[0].rpartition("/") for name in options.only)
        draws = [draw(int(seed or options.seed), int(index)) for seed, _, index in places]
    else:
        draws = [draw(options.seed, index) for index in range(options.draws)]
    return [one.shortened() for one in draws] if options.shortened else draws


def race(one: Draw, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure a draw in each mode, and print it."""
    X, y, X_new = one.data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for mode in options.modes:
            calls = _MAKERS[mode](one, X, y, X_new)
            if calls is None:
                continue
            if options.shortened:
                times = {name: [_seconds(call)] for name, call in calls.items()}
            else:
                times = (_when_idle if options.idle else back_to_back)(calls)
            row = judge(mode, one.name, times)
            _print_row(row, is_judged=not options.shortened)
            yield row


def estimators(one: Draw, n_epochs: int) -> dict[str, Any]:
    """Return both, with the same parameters and the same seed."""
    parameters: dict[str, Any] = {
        "hidden_layer_sizes": one.hidden,
        "solver": one.solver,
        "batch_size": one.batch_size,
        "max_iter": n_epochs,
        # So that both make all of them.
        "n_iter_no_change": n_epochs + 1,
        "random_state": one.seed,
    }
    if not isinstance(one.batch_size, str):
        parameters["batch_size"] = min(one.batch_size, one.n_fit)
    return {
        "fastnet": SigmoidMLPClassifier(**parameters),
        "scikit-learn": MLPClassifier(activation="logistic", **parameters),
    }


def _fits(one: Draw, X: Any, y: Any, X_new: Any) -> Calls:
    _trained(one, X, y, X_new)
    models = estimators(one, one.n_epochs)
    return {name: partial(model.fit, X, y) for name, model in models.items()}


def _predictions(one: Draw, X: Any, y: Any, X_new: Any) -> Calls:
    models = _trained(one, X, y, X_new)
    return {name: partial(model.predict_proba, X_new) for name, model in models.items()}


def _pipelines(one: Draw, X: Any, y: Any, X_new: Any) -> Calls | None:
    """Return predictions behind a scaler and PCA, which do without sparse features."""
    if one.density is not None:
        return None
    X, y = X[:MOST_PIPELINE_ROWS], y[:MOST_PIPELINE_ROWS]
    n_components = min(MOST_COMPONENTS, *X.shape)
    pipelines = {
        name: make_pipeline(StandardScaler(), PCA(n_components, random_state=0), model)
        for name, model in estimators(one, N_CHECKED).items()
    }
    for pipeline in pipelines.values():
        pipeline.fit(X, y)
    check(one, pipelines, X_new)
    return {name: partial(pipe.predict_proba, X_new) for name, pipe in pipelines.items()}


_MAKERS: dict[str, Callable[..., Calls | None]] = {
    "fit": _fits,
    "predict_proba": _predictions,
    "pipeline": _pipelines,
}


def _trained(one: Draw, X: Any, y: Any, X_new: Any) -> dict[str, Any]:
    """Return both after a few epochs; raise unless they agree."""
    models = estimators(one, N_CHECKED)
    for model in models.values():
        model.fit(X, y)
    check(one, models, X_new)
    return models


def check(one: Draw, models: Mapping[str, Any], X: Any) -> None:
    """Raise unless both models say the same."""
    actual, expected = (model.predict_proba(X) for model in models.values())
    np.testing.assert_allclose(
        actual, expected, rtol=0, atol=TOLERANCE[one.dtype], err_msg=one.name
    )


def back_to_back(calls: Calls) -> dict[str, list[float]]:
    """Time calls alternately, each as soon as the one before is done; both are called before."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.perf_counter() + MODE_SECONDS
    for done in range(MOST_ROUNDS):
        if done >= MIN_ROUNDS and time.perf_counter() > end:
            break
        for name, call in calls.items():
            times[name].append(_seconds(call))
    return times


def _when_idle(calls: Calls) -> dict[str, list[float]]:
    return interleave(calls, max_seconds=MODE_SECONDS)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def judge(mode: str, name: str, times: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return a row: medians, and their ratio."""
    own, other = (median(times[who]) for who in ("fastnet", "scikit-learn"))
    return {
        "mode": mode,
        "name": name,
        "fastnet": own,
        "scikit-learn": other,
        "rounds": len(times["fastnet"]),
        "ratio": other / own,
    }


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return of each mode: least, median and mean ratio, how many are lost, and the worst."""
    summary = {}
    for mode in dict.fromkeys(row["mode"] for row in rows):
        of_mode = sorted((r for r in rows if r["mode"] == mode), key=lambda r: r["ratio"])
        ratios = [row["ratio"] for row in of_mode]
        summary[mode] = {
            "draws": len(ratios),
            "least": ratios[0],
            "median": median(ratios),
            "geometric_mean": geometric_mean(ratios),
            "slower": sum(ratio < NOISE for ratio in ratios),
            "worst": of_mode[:N_WORST],
        }
    return summary


def _print_row(row: dict[str, Any], is_judged: bool) -> None:
    if not is_judged:
        print(f"{row['mode']:14}the same as scikit-learn's  {row['name']}", flush=True)
        return
    own, other = row["fastnet"] * 1e3, row["scikit-learn"] * 1e3
    flag = "  slower" if row["ratio"] < NOISE else ""
    print(
        f"{row['mode']:14}{own:10.3f} ms{other:10.3f} ms{row['ratio']:8.2f}  {row['name']}{flag}",
        flush=True,
    )


def _print_summary(summary: Mapping[str, Mapping[str, Any]]) -> None:
    for mode, of_mode in summary.items():
        print(
            f"\n{mode}: least {of_mode['least']:.2f}, median {of_mode['median']:.2f}, geometric"
            f" mean {of_mode['geometric_mean']:.2f} (target {TARGETS[mode]:g}), slower in"
            f" {of_mode['slower']} of {of_mode['draws']}"
        )
        for row in of_mode["worst"]:
            print(f"  {row['ratio']:6.2f}  {row['name']}")


if __name__ == "__main__":
    main()
