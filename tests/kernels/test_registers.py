"""Descent in registers: the bits of `train_rows`, which has its twin in the reference."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fastnet import kernels
from fastnet.kernels.update import SGD

from ..reference import DTYPES, Array

LABELS = (kernels.BINARY_LOG_LOSS, kernels.CATEGORICAL_LOG_LOSS, kernels.SQUARED_ERROR)
CASES = [
    ((2, 2, 1), kernels.BINARY_LOG_LOSS, True),
    ((2, 2, 1), kernels.BINARY_LOG_LOSS, False),
    ((3, 1), kernels.BINARY_LOG_LOSS, True),
    ((1, 3, 2), kernels.BINARY_LOG_LOSS, True),
    ((4, 3, 3), kernels.CATEGORICAL_LOG_LOSS, True),
    ((2, 3, 2, 3), kernels.CATEGORICAL_LOG_LOSS, False),
    ((2, 5, 1), kernels.SQUARED_ERROR, True),
    ((3, 2, 4), kernels.SQUARED_ERROR, True),
    ((3, 2, 1), kernels.HALF_SQUARED_ERROR, True),
    ((2, 2, 3), kernels.HALF_SQUARED_ERROR, True),
    ((3, 4, 1), kernels.HALF_POISSON_DEVIANCE, True),
]

cases = pytest.mark.parametrize(("sizes", "loss", "fit_intercept"), CASES, ids=str)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


class Problem:
    """A small network, samples in some order, and both kernels."""

    def __init__(
        self, sizes: tuple[int, ...], loss: int, fit_intercept: bool, dtype: Any,
        alpha: float = 0.1, n_samples: int = 70, n_epochs: int = 3,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(1)
        self.plan = kernels.plan_network(sizes, fit_intercept, 1)
        n = kernels.count_parameters(self.plan)
        assert n == sum((a + fit_intercept) * b for a, b in pairwise(sizes))
        self.kernel = kernels.descent_kernel(sizes, fit_intercept, loss)
        self.loss = loss
        self.X = rng.normal(size=(n_samples, sizes[0])).astype(dtype)
        if loss in LABELS:
            labels = rng.integers(0, max(2, sizes[-1]), n_samples)
            classes = np.arange(sizes[-1]) if sizes[-1] > 1 else 1
            self.Y = (labels[:, np.newaxis] == classes).astype(np.uint8)
        else:
            self.Y = rng.uniform(size=(n_samples, sizes[-1])).astype(dtype)
        self.order = np.concatenate([rng.permutation(n_samples) for _ in range(n_epochs)])
        self.params = rng.normal(size=n).astype(dtype)
        self.hyper = kernels.hyper_vector(0.3, alpha)
        self.total_loss = np.zeros(n_epochs)

    def in_registers(self, first: int, last: int) -> int:
        args = (self.X, self.Y, self.order, first, last, self.params, self.hyper, self.total_loss)
        return int(self.kernel(*args))

    def in_rows(self, first: int, last: int) -> int:
        dtype = self.params.dtype
        empty = np.empty(0, dtype)
        return int(
            kernels.train_rows(
                self.X, None, None, self.Y, empty, self.order, first, last, 1, self.plan,
                self.params, np.zeros_like(self.params), empty.copy(), self.loss, SGD, self.hyper,
                np.ones(2), kernels.new_panels(self.plan, 1, 1, dtype), self.total_loss,
            )
        )  # fmt: skip

    def state(self) -> tuple[bytes, bytes]:
        return self.params.tobytes(), self.total_loss.tobytes()


@dtypes
@cases
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_bits_are_those_of_rows(
    sizes: Any, loss: int, fit_intercept: bool, alpha: float, dtype: Any
) -> None:
    ours, theirs = (Problem(sizes, loss, fit_intercept, dtype, alpha) for _ in range(2))
    before = ours.state()
    assert ours.in_registers(0, 210) == theirs.in_rows(0, 210) == 210
    assert ours.state() == theirs.state() != before


@dtypes
def test_one_goes_on_where_the_other_stopped(dtype: Any) -> None:
    alone, by_turns = (Problem((2, 2, 1), 0, True, dtype) for _ in range(2))
    alone.in_rows(0, 210)
    stops = [0, 1, 30, 33, 64, 69, 70, 75, 140, 200, 210]
    for turn, (first, last) in enumerate(pairwise(stops)):
        train = by_turns.in_rows if turn % 2 else by_turns.in_registers
        assert train(first, last) == last - first
    assert by_turns.state() == alone.state()


@dtypes
def test_what_decays_to_nothing_becomes_zero(dtype: Any) -> None:
    problem = Problem((2, 2, 1), 0, True, dtype, alpha=1.0, n_epochs=8)
    problem.X[:, 0] = 0.0
    problem.params[:2] = np.finfo(dtype).tiny * 2.0**41
    problem.in_registers(0, 560)
    assert (problem.params[:2] == 0.0).all()
    assert problem.params[2:].all()


@dtypes
@pytest.mark.parametrize("place", [0, 50, 69])
def test_steps_before_a_loss_that_is_not_finite(dtype: Any, place: int) -> None:
    ours, theirs = (Problem((2, 2, 1), 3, True, dtype) for _ in range(2))
    for problem in (ours, theirs):
        problem.Y[problem.order[place]] = np.inf
    n_done = ours.in_registers(0, 210)
    assert n_done <= place
    assert np.isfinite(ours.params).all()
    assert n_done + ours.in_rows(n_done, 210) == theirs.in_rows(0, 210) == place
    assert ours.state() == theirs.state()


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [((2, 2, 1), True), ((7, 2, 8), False), ((3, 4, 3), True), ((2, 6, 1), False),
     ((2, *[3] * 6, 1), False), ((28, 64, 1), False), ((15, 1), True)],
)  # fmt: skip
def test_which_networks_fit(sizes: Any, fits: bool) -> None:
    plan: Array = kernels.plan_network(sizes, True, 1)
    assert kernels.fits_in_registers(plan) is fits
