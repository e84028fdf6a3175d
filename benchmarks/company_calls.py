"""The calls that `benchmarks.company` measures, each with the default `n_jobs` and with 1."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPClassifier

from .workloads import Problem, Workload, make_problem

Call = Callable[[], Any]
# Rows of every call where nothing is timed, and the most epochs.
FEW_ROWS = 300


class Pair(NamedTuple):
    """One call twice: with the number of threads that users get, and with one thread."""

    default: Call
    serial: Call


class Work(NamedTuple):
    """A call of a public method.

    Attributes
    ----------
    method : str
        The estimator's method, or "pipeline": its `predict_proba` behind a scaler and PCA.
    sizes : tuple of int
        Units of every layer.
    n_rows : int
        Rows of the call.
    parameters : mapping
        Of the estimator, for training; as many epochs as take 0.1 s and more on one thread.
    """

    method: str
    sizes: tuple[int, ...]
    n_rows: int
    parameters: Mapping[str, Any] = MappingProxyType({})

    @property
    def name(self) -> str:
        """The call in words; it identifies a row of the table."""
        network = "-".join(map(str, self.sizes))
        details = [f"b{self.parameters['batch_size']}"] if "batch_size" in self.parameters else []
        details += [self.parameters["solver"]] if "solver" in self.parameters else []
        return f"{self.method} {' '.join((network, *details))} x {self.n_rows:,}"

    @property
    def is_full_batch(self) -> bool:
        """Whether a step takes all rows."""
        return self.parameters.get("solver") == "lbfgs"

    @property
    def is_training(self) -> bool:
        """Whether the call changes its estimator."""
        return self.method in ("fit", "partial_fit")


WORK = (
    Work("fit", (28, 64, 1), 100_000, {"batch_size": 200, "max_iter": 10}),
    Work("fit", (784, 128, 10), 20_000, {"batch_size": 128, "max_iter": 4}),
    Work("fit", (28, 64, 64, 1), 100_000, {"batch_size": 200, "max_iter": 6}),
    Work("fit", (30, 10, 1), 500, {"solver": "lbfgs", "max_iter": 20}),
    Work("partial_fit", (28, 64, 1), 200),
    Work("predict_proba", (28, 64, 1), 300),
    Work("predict_proba", (28, 64, 1), 5_000),
    Work("predict_proba", (28, 64, 1), 20_000),
    Work("predict_proba", (28, 64, 1), 100_000),
    Work("predict_proba", (100, 100, 10), 1_000),
    Work("predict_proba", (784, 128, 10), 200),
    Work("predict_proba", (784, 128, 10), 1_000),
    Work("loss_gradients", (28, 64, 1), 5_000),
    Work("input_gradients", (28, 64, 1), 5_000),
)
# What several threads gain on these, alone, is a goal of its own.
GAINING_FITS = tuple(work.name for work in WORK[:3])
GAINING_PREDICTIONS = tuple(
    work.name for work in WORK if work.method == "predict_proba" and work.n_rows >= 20_000
)
PIPELINES = tuple(Work("pipeline", (50, 64, 10), n_rows) for n_rows in (1, 100, 1_000, 5_000))
# What PCA takes its 50 components from.
N_PIPELINE_FEATURES = 100


def make_pair(work: Work, dtype: str, seed: int, shortened: bool) -> Pair:
    """Prepare a call, both forms of it called once, and raise unless their bits are equal."""
    n_rows = min(work.n_rows, FEW_ROWS) if shortened else work.n_rows
    if work.method == "pipeline":
        pair = Pair(*(_pipeline(work, n_rows, dtype, seed, n_jobs) for n_jobs in (None, 1)))
    else:
        problem = make_problem(Workload(work.sizes, 200, n_rows), dtype, seed)
        pair = Pair(*(_call(work, problem, seed, n_jobs) for n_jobs in (None, 1)))
    # Training goes on where it was: the second call of each has the same past as well.
    for _ in range(2):
        check_same_bits(pair, work.name)
    return pair


def check_same_bits(pair: Pair, name: str) -> None:
    """Raise unless both forms return the same bits."""
    results = zip(_arrays(pair.default()), _arrays(pair.serial()), strict=True)
    if not all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in results):
        raise AssertionError(f"{name}: the default n_jobs and n_jobs=1 differ")


def _arrays(result: Any) -> list[np.ndarray[Any, Any]]:
    """Return all arrays of a result: of a trained estimator its weights, of nested lists."""
    if isinstance(result, SigmoidMLPClassifier):
        return [*result.coefs_, *result.intercepts_]
    if isinstance(result, list | tuple):
        return [array for part in result for array in _arrays(part)]
    return [np.asarray(result)]


def _call(work: Work, problem: Problem, seed: int, n_jobs: int | None) -> Call:
    X, y, start = problem.X, problem.y, problem.start
    if work.is_training:
        model = SigmoidMLPClassifier(
            work.sizes[1:-1], random_state=seed, n_jobs=n_jobs, **work.parameters
        )
        if work.method == "partial_fit":
            return lambda: model.partial_fit(X, y, classes=range(problem.workload.n_classes))
        return _silent(lambda: model.fit(X, y))
    classes = range(problem.workload.n_classes)
    model = SigmoidMLPClassifier.from_weights(start.coefs, start.intercepts, classes=classes)
    method = getattr(model.set_params(n_jobs=n_jobs), work.method)
    return lambda: method(X, y) if work.method == "loss_gradients" else method(X)


def _pipeline(work: Work, n_rows: int, dtype: str, seed: int, n_jobs: int | None) -> Call:
    n_components, *hidden, n_classes = work.sizes
    sizes = (N_PIPELINE_FEATURES, n_classes)
    problem = make_problem(Workload(sizes, 200, max(1_000, n_rows)), dtype, seed)
    model = SigmoidMLPClassifier(tuple(hidden), max_iter=5, random_state=seed, n_jobs=n_jobs)
    pipeline = make_pipeline(StandardScaler(), PCA(n_components, random_state=seed), model)
    _silent(lambda: pipeline.fit(problem.X, problem.y))()
    X = problem.X[:n_rows]
    return lambda: pipeline.predict_proba(X)


def _silent(call: Call) -> Call:
    """Return the call without the warning that few epochs do not converge."""

    def silent() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return call()

    return silent


def chosen(works: Sequence[Work], parts: Sequence[str]) -> list[Work]:
    """Return the works whose names contain any of the parts."""
    return [work for work in works if any(part in work.name for part in parts)]
