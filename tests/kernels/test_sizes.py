"""Sizes beyond 2**31 elements: where things are, and, if asked for, 9 GB of features."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from fastnet import SigmoidMLPClassifier, kernels
from fastnet._engine.features import Features
from fastnet._engine.network import Network

planning = kernels.plan

# Parameters of 2**31 to 2**48 elements; none is a multiple of 128, which would be padded.
HUGE = [
    (2**31 + 1, 1), (1, 2**31 + 1, 1), (50_001, 50_003, 3), (4, 2**20 + 1, 2**20 + 3, 2),
    (2**40 + 1, 3), (3, 2**23 + 1, 2**23 + 1, 2**23 + 1, 5),
]  # fmt: skip

sizes = pytest.mark.parametrize("sizes", HUGE, ids=str)
intercepts = pytest.mark.parametrize("fit_intercept", [True, False])


@sizes
@intercepts
@pytest.mark.parametrize("width", [1, 16, 32])
def test_plans_are_those_of_integers_without_bounds(sizes: Any, fit_intercept: bool, width: int):
    plan = kernels.plan_network(sizes, fit_intercept, width)
    assert plan.dtype == np.int64
    weight = row = 0
    for layer, (fan_in, fan_out) in zip(plan.tolist(), pairwise(sizes), strict=True):
        n_rows = fan_in + fit_intercept
        assert layer[: planning.STRIDE + 1] == [fan_in, fan_out, n_rows, weight, fan_out]
        assert layer[planning.INPUT] == row * width
        weight += n_rows * fan_out
        row += n_rows
        assert layer[planning.OUTPUT] == row * width
    assert kernels.count_parameters(plan) == weight > 2**31
    row += sizes[-1]
    for layer, fan_out in zip(plan.tolist(), sizes[1:], strict=True):
        assert layer[planning.DELTA] == row * width
        row += kernels.delta_rows(fan_out, width)
    assert plan[0, planning.SCRATCH] == row * width
    assert row + 2 <= plan[0, planning.SIZE] // width <= row + 3


@sizes
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_panels_of_a_huge_network_are_few(sizes: Any, dtype: Any):
    width = kernels.panel_lanes(dtype)
    plan = kernels.plan_network(sizes, True, width)
    assert kernels.super_block_panels(plan, 10**12, dtype) == 512 // width
    assert kernels.super_block_panels(plan, 1, dtype) == 1


@pytest.mark.parametrize("n_samples", [2**31 + 1, 2**33])
def test_few_entries_are_told_from_many(n_samples: int):
    plan = kernels.plan_network((2**29, 2), True, 32)
    many = n_samples * 2**29 // 8
    assert kernels.takes_entries(plan, many, n_samples)
    assert not kernels.takes_entries(plan, many + 1, n_samples)


@pytest.mark.parametrize("n_columns", [2**31, 2**40])
def test_columns_beyond_the_indices_are_refused(n_columns: int):
    """As numbers of 32 bits they would be negative."""
    X = sparse.csr_array(([1.0], [n_columns - 1], [0, 1]), shape=(1, n_columns))
    with pytest.raises(ValueError, match=f"{n_columns} columns, more than 2147483647"):
        Features.of(X)
    last = sparse.csr_array(([1.0], [2**31 - 2], [0, 1]), shape=(1, 2**31 - 1))
    assert Features.of(last).indices == [2**31 - 2]


@pytest.mark.parametrize("n_parameters", [2**48 + 1, 2**63, 2**64, 2**200])
def test_networks_whose_bytes_cannot_be_counted_are_refused(n_parameters: int):
    network = Network((1, n_parameters // 2, 1), False, np.dtype(float))
    with pytest.raises(ValueError, match="too large"):
        _ = network.n_parameters


def mostly_zeros(n_rows: int, n_columns: int) -> Any:
    """Return features of which only the last rows are in memory: the pages of others are one."""
    X = np.zeros((n_rows, n_columns), np.float32)
    X[-300:] = np.random.default_rng(0).normal(size=(300, n_columns))
    X[0] = 1.0
    return X


@pytest.mark.long
@pytest.mark.parametrize("shape", [(2**25 + 3, 65), (1000, 2**21 + 2**16 + 1)], ids=str)
def test_predictions_on_more_than_2_to_31_elements(shape: Any):
    X = mostly_zeros(*shape)
    assert X.size > 2**31
    rng = np.random.default_rng(1)
    coefs = [rng.normal(size=(shape[1], 3)) / shape[1] ** 0.5, rng.normal(size=(3, 2))]
    model = SigmoidMLPClassifier.from_weights(
        [coef.astype(np.float32) for coef in coefs], [rng.normal(size=3), np.zeros(2)], None
    )
    for method in ("decision_function", "predict_proba"):
        everything = getattr(model, method)(X)
        assert_array_equal(everything[-400:], getattr(model, method)(X[-400:].copy()))
        assert_array_equal(everything[:400], getattr(model, method)(X[:400].copy()))


@pytest.mark.long
def test_training_on_more_than_2_to_31_elements():
    """As batch by batch, none of which is that large."""
    n_rows, batch_size = 2**28 + 2**24, 2**24
    X = mostly_zeros(n_rows, 8)
    y = np.zeros(n_rows, np.int8)
    y[-150:] = y[::97] = 1
    assert X.size > 2**31
    parameters = {"solver": "sgd", "alpha": 0.0, "shuffle": False, "batch_size": batch_size}
    model, parts = (
        SigmoidMLPClassifier((3,), max_iter=1, random_state=0, **parameters) for _ in range(2)
    )
    model.partial_fit(X, y, classes=[0, 1])
    for first in range(0, n_rows, batch_size):
        part = slice(first, first + batch_size)
        parts.partial_fit(X[part], y[part], classes=[0, 1])
    for ours, theirs in zip(
        model.coefs_ + model.intercepts_, parts.coefs_ + parts.intercepts_, strict=True
    ):
        assert_array_equal(ours, theirs)


@pytest.mark.long
def test_gradients_of_more_than_2_to_31_elements():
    """Those of samples, by inputs and by parameters."""
    X = mostly_zeros(3000, 2**17 + 1)
    model = SigmoidMLPClassifier((6,), random_state=0, max_iter=1)
    model.partial_fit(X[-300:], np.arange(300) % 7, classes=range(7))
    assert 3000 * 7 * X.shape[1] > 2**31
    by_inputs = model.input_gradients(X)
    assert_array_equal(by_inputs[-50:], model.input_gradients(X[-50:]))
    del by_inputs
    labels = np.arange(3000) % 7
    by_parameters, _ = model.sample_gradients(X, labels)
    expected, _ = model.sample_gradients(X[-50:], labels[-50:])
    for ours, theirs in zip(by_parameters, expected, strict=True):
        assert_array_equal(ours[-50:], theirs)
