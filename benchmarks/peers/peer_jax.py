"""JAX: the whole epoch is one compiled call, a `scan` that gathers its own mini-batches."""

import functools
import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ..workloads import LEARNING_RATE, FloatArray, Problem, Weights, Workload
from . import SEED

NAME = "jax"
SAME_SHUFFLE = True


def available() -> str | None:
    """Return why it cannot run here, or None where it can."""
    return None if importlib.util.find_spec("jax") else "jax is not installed"


def unsupported(workload: Workload) -> str | None:
    """Return None: it does everything."""
    return None


def _jax(n_threads: int) -> Any:
    """Import jax for double precision and this many threads, which its client keeps."""
    os.environ["PJRT_NPROC"] = str(n_threads)
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def _logits(weights: Weights, X: Any) -> Any:
    import jax

    *hidden, (coef, intercept) = zip(*weights, strict=True)
    for hidden_coef, hidden_intercept in hidden:
        X = jax.nn.sigmoid(X @ hidden_coef + hidden_intercept)
    return X @ coef + intercept


def _mean_loss(weights: Weights, X: Any, Y: Any, loss: str) -> Any:
    import jax
    import jax.numpy as jnp

    z = _logits(weights, X)
    if loss == "squared_error":
        return jnp.square(jax.nn.sigmoid(z) - Y).sum() / len(Y)
    if z.shape[1] == 1:
        return (jnp.logaddexp(0, z) - Y * z).mean()
    return -(Y * jax.nn.log_softmax(z)).sum() / len(Y)


@functools.cache
def _compiled_epoch() -> Any:
    import jax

    def take_step(weights: Weights, X: Any, Y: Any, rows: Any, loss: str) -> tuple[Weights, Any]:
        value, grads = jax.value_and_grad(_mean_loss)(weights, X[rows], Y[rows], loss)
        return jax.tree.map(lambda w, g: w - LEARNING_RATE * g, weights, grads), value

    @functools.partial(jax.jit, static_argnames=("batch_size", "loss"), donate_argnames="weights")
    def epoch(
        weights: Weights, X: Any, Y: Any, order: Any, batch_size: int, loss: str
    ) -> tuple[Weights, Any]:
        whole = len(order) // batch_size * batch_size
        weights, losses = jax.lax.scan(
            lambda w, rows: take_step(w, X, Y, rows, loss),
            weights,
            order[:whole].reshape(-1, batch_size),
        )
        total = losses.sum() * batch_size
        if whole < len(order):
            weights, value = take_step(weights, X, Y, order[whole:], loss)
            total += value * (len(order) - whole)
        return weights, total / len(order)

    return epoch


class _Epoch:
    def __init__(self, problem: Problem, n_threads: int, shuffle: bool) -> None:
        jax = _jax(n_threads)
        self.problem = problem
        self.shuffle = shuffle
        self.X = jax.numpy.asarray(problem.X)
        self.Y = jax.numpy.asarray(problem.targets.astype(problem.dtype))
        self.current: Weights = jax.tree.map(jax.numpy.array, problem.start)
        self.order = np.arange(problem.workload.n_rows)
        # numpy shuffles several times faster than jax.random.permutation, which sorts.
        self.random_state = np.random.RandomState(SEED)

    def __call__(self) -> None:
        if self.shuffle:
            self.random_state.shuffle(self.order)
        self.current, loss = _compiled_epoch()(
            self.current,
            self.X,
            self.Y,
            self.order,
            batch_size=self.problem.workload.batch_size,
            loss=self.problem.workload.loss,
        )
        # Before `order` is shuffled again.
        loss.block_until_ready()

    def weights(self) -> Weights:
        coefs, intercepts = self.current
        return Weights([np.asarray(c) for c in coefs], [np.asarray(b) for b in intercepts])


def make_epoch(problem: Problem, n_threads: int, *, shuffle: bool) -> _Epoch:
    """Prepare training from the problem's initial weights."""
    return _Epoch(problem, n_threads, shuffle)


def make_prediction(problem: Problem, n_threads: int) -> Callable[[], FloatArray]:
    """Prepare ``predict_proba`` of all rows, with the problem's initial weights."""
    jax = _jax(n_threads)
    X = jax.numpy.asarray(problem.X)
    weights = jax.tree.map(jax.numpy.array, problem.start)

    @jax.jit
    def predict_proba(X: Any, weights: Weights) -> Any:
        z = _logits(weights, X)
        if z.shape[1] > 1:
            return jax.nn.softmax(z)
        p = jax.nn.sigmoid(z)
        return jax.numpy.hstack([1 - p, p])

    return lambda: np.asarray(predict_proba(X, weights))
