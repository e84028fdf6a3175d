"""``make demo``: the main job on real data, beside scikit-learn's MLP and plain numpy.

Trains on scikit-learn's handwritten digits through a pipeline, prints the accuracy on
held-out digits and the time of an epoch of each, and draws the loss curve.
"""

import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPClassifier

from . import numpy_baseline
from .interleave import Ratio, interleave

PARAMETERS = {
    "hidden_layer_sizes": (64,),
    "batch_size": 32,
    "learning_rate_init": 0.2,
    "solver": "sgd",
    "momentum": 0.0,
    "nesterovs_momentum": False,
    "alpha": 0.0,
    "tol": 0.0,
    "random_state": 0,
}
EPOCHS = 60
# An epoch is timed as a fit of this many, so that validation and set-up are spread out.
TIMED_EPOCHS = 20


def main() -> None:
    """Train, compare, draw."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X.astype(np.float32), y, stratify=y, random_state=0
    )
    print(f"digits: {len(X_train)} to train on, {len(X_test)} to test with, 64 pixels, 10 classes")

    print("compiling the kernels (the first time only, then they come from numba's cache) ...")
    start = time.perf_counter()
    _new(SigmoidMLPClassifier, 1).fit(X_train, y_train).predict(X_test)
    print(f"  {time.perf_counter() - start:.1f} s")

    print(f"training a 64-64-10 network for {EPOCHS} epochs ...")
    model = _new(SigmoidMLPClassifier, EPOCHS)
    pipeline = make_pipeline(StandardScaler(), model)
    start = time.perf_counter()
    pipeline.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    for epoch in range(0, EPOCHS, 10):
        print(f"  epoch {epoch + 1:3d}   loss {model.loss_curve_[epoch]:.4f}")
    print(f"  {seconds:.2f} s; test accuracy {pipeline.score(X_test, y_test):.3f}")

    _compare(StandardScaler().fit_transform(X_train), y_train)
    _draw(model.loss_curve_, Path("loss_curve.png"))


def _new(estimator: type, epochs: int) -> SigmoidMLPClassifier | MLPClassifier:
    parameters = PARAMETERS | {"max_iter": epochs, "n_iter_no_change": epochs}
    return estimator(activation="logistic", **parameters)


def _compare(X: np.ndarray, y: np.ndarray) -> None:
    """Time an epoch of each, alternately, from the same weights to the same loss."""
    print("one epoch, taken alternately (median of the ratios):")
    ours = _new(SigmoidMLPClassifier, TIMED_EPOCHS)
    theirs = _new(MLPClassifier, TIMED_EPOCHS)
    contenders: dict[str, Callable[[], object]] = {
        "fastnet": lambda: ours.fit(X, y),
        "MLPClassifier": lambda: theirs.fit(X, y),
        "numpy": lambda: _numpy_fit(X, y),
    }

    def check() -> None:
        loss = ours.fit(X, y).loss_
        np.testing.assert_allclose(theirs.fit(X, y).loss_, loss, rtol=1e-3)
        np.testing.assert_allclose(_numpy_fit(X, y), loss, rtol=0.05)

    times = interleave(contenders, check, n_rounds=5)
    for name, seconds in times.items():
        ratio = Ratio.of(seconds, times["fastnet"]).median
        each = min(seconds) / TIMED_EPOCHS * 1e3
        print(f"  {name:15s}{each:8.2f} ms   {ratio:6.1f} x fastnet's")


def _numpy_fit(X: np.ndarray, y: np.ndarray) -> float:
    """Train plain numpy from scikit-learn's kind of weights; return the last loss."""
    draw = np.random.RandomState(0)
    sizes = (X.shape[1], *PARAMETERS["hidden_layer_sizes"], 10)  # type: ignore[misc]
    coefs = []
    for shape in pairwise(sizes):
        bound = np.sqrt(2 / sum(shape))
        coefs.append(draw.uniform(-bound, bound, shape).astype(X.dtype))
    intercepts = [np.zeros(size, X.dtype) for size in sizes[1:]]
    Y = np.eye(10, dtype=X.dtype)[y]
    loss = np.inf
    for _ in range(TIMED_EPOCHS):
        order = draw.permutation(len(X))
        loss = numpy_baseline.train_epoch(X, Y, coefs, intercepts, order, 32, 0.2)
    return loss


def _draw(loss_curve: list[float], path: Path) -> None:
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # the backend must be chosen before

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.semilogy(range(1, len(loss_curve) + 1), loss_curve)
    axes.set(xlabel="epoch", ylabel="log-loss", title="SigmoidMLPClassifier on digits, 64-64-10")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
