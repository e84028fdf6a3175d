"""Derivatives of the outputs by the inputs: scikit-learn's and scipy's, and our twin's."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, sparse, special
from sklearn.neural_network import MLPClassifier

from fastnet import kernels
from fastnet._engine import derivatives
from fastnet._engine.features import Features
from fastnet._engine.network import Network

from .. import reference
from .._support.workers import blocks_of, new_claims
from ..reference import DTYPES, Array, assert_close, forms

pytestmark = pytest.mark.thorough

# No hidden layer to three; widths of 1, 5, 64 and 128, whose rows are padded.
NETWORKS = [(3, 1), (5, 4), (1, 1, 1), (2, 7, 3), (28, 64, 1), (128, 5, 128), (33, 9, 64, 5, 4)]
OUTPUTS = {
    "logits": kernels.LOGITS,
    "sigmoid": kernels.SIGMOID,
    "softmax": kernels.SOFTMAX,
    "exp": kernels.EXPONENTIAL,
}
N_THREADS = 3


dtypes = pytest.mark.parametrize("dtype", DTYPES)
networks = pytest.mark.parametrize("sizes", NETWORKS, ids=str)
intercepts = pytest.mark.parametrize("fit_intercept", [True, False])
outputs = pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS.keys())
# The softmax of one unit is constant, and its complex step a rounding error.
networks_and_outputs = pytest.mark.parametrize(
    ("sizes", "output"),
    [
        pytest.param(sizes, output, id=f"{sizes}-{name}")
        for sizes in NETWORKS
        for name, output in OUTPUTS.items()
        if sizes[-1] > 1 or name != "softmax"
    ],
)


def draw(sizes: Any, fit_intercept: bool, n_samples: int, dtype: Any) -> tuple[Array, ...]:
    """Return a plan, parameters and rows; few units are saturated."""
    rng = np.random.default_rng(0)
    plan = kernels.plan_network(sizes, fit_intercept, kernels.panel_lanes(dtype))
    params = rng.normal(scale=0.5, size=kernels.count_parameters(plan))
    params = reference.flatten(reference.network_layers(plan, params)).astype(dtype)
    return plan, params, rng.normal(size=(n_samples, sizes[0])).astype(dtype)


def run(
    form: Any, plan: Array, params: Array, X: Any, output: int,
    n_threads: int = 1, order: Any = None, panels: Any = None, block_panels: int = 1,
) -> Array:  # fmt: skip
    """Return what a form of the kernel, or its twin, writes for the rows of a matrix."""
    if order is None:
        order = np.arange(X.shape[0])
    features = X, None, None
    if sparse.issparse(X):
        features = X.data.reshape(-1, 1), X.indices, X.indptr.astype(np.int64)
    width = kernels.panel_lanes(X.dtype)
    if panels is None:
        panels = kernels.new_panels(plan, N_THREADS, width, X.dtype)
    shape = len(order), plan[-1, kernels.plan.FAN_OUT], X.shape[1]
    out = np.full(np.prod(shape), np.nan, X.dtype)
    claims = new_claims(blocks_of(blocks_of(len(order), width), block_panels))
    form(*features, order, plan, params, output, panels, block_panels, out, claims, 0, n_threads)
    return out.reshape(shape)


def complex_step(plan: Array, params: Array, X: Array, output: int) -> Array:
    """Return the exact derivatives of the reference's outputs."""
    layers = reference.network_layers(plan, params)
    step = 1e-30
    columns = []
    for feature in range(X.shape[1]):
        moved = X.astype(complex)
        moved[:, feature] += step * 1j
        z = reference.forward_pass(layers, moved)[-1]
        if output == kernels.SIGMOID:
            z = reference.sigmoid(z)
        elif output == kernels.SOFTMAX:
            z = np.exp(reference.log_softmax(z))
        elif output == kernels.EXPONENTIAL:
            z = np.exp(z)
        columns.append(z.imag / step)
    return np.stack(columns, axis=2)


@pytest.mark.parametrize("hidden", [(), (4,), (5, 3)], ids=str)
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_slopes_of_scikit_learns_probabilities(hidden: Any, kind: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y = rng.integers(0, 2 if kind == "binary" else 3, 40)
    if kind == "multilabel":
        y = rng.integers(0, 2, (40, 3))
    model = MLPClassifier(hidden, activation="logistic", random_state=0)
    model.partial_fit(X, y, classes=np.unique(y) if y.ndim == 1 else np.arange(3))
    sizes = 3, *hidden, model.n_outputs_
    network = Network(sizes, True, np.dtype(float))
    # Glorot's weights leave the outputs flat.
    params = 5 * network.pack(model.coefs_, model.intercepts_)
    model.coefs_, model.intercepts_ = network.views(params)
    output = kernels.SOFTMAX if kind == "multiclass" else kernels.SIGMOID
    actual = derivatives.input_gradients(network, params, Features.of(X), output)

    def probabilities(x: Array) -> Array:
        p = model.predict_proba([x])[0]
        return p[1:] if kind == "binary" else p

    for x, gradient in zip(X, actual, strict=True):
        slopes = optimize.approx_fprime(x, probabilities).reshape(gradient.shape)
        assert_allclose(gradient, slopes, rtol=0, atol=1e-6)
    assert np.abs(actual).max() > 0.05


@dtypes
@networks_and_outputs
@intercepts
def test_derivatives_are_exact(dtype: Any, sizes: Any, fit_intercept: bool, output: int) -> None:
    plan, params, X = draw(sizes, fit_intercept, 37, dtype)
    exact = complex_step(plan, params, X, output)
    for form, n_threads in forms(kernels.input_gradients):
        assert_close(run(form, plan, params, X, output, n_threads), exact, dtype)
    assert_close(run(reference.input_gradients, plan, params, X, output), exact, dtype)


@dtypes
@networks
@intercepts
@outputs
def test_kernel_is_its_twin(dtype: Any, sizes: Any, fit_intercept: bool, output: int) -> None:
    for n_samples in (1, 15, 33, 100):
        case = (*draw(sizes, fit_intercept, n_samples, dtype), output)
        first = run(kernels.input_gradients.serial, *case)
        assert_close(first, run(reference.input_gradients, *case), dtype)
        for form, n_threads in forms(kernels.input_gradients):
            for block_panels in (1, 2, 5):
                actual = run(form, *case, n_threads, block_panels=block_panels)
                assert_array_equal(actual, first)


@dtypes
def test_saturated_sigmoids_have_accurate_derivatives(dtype: Any) -> None:
    plan = kernels.plan_network((1, 1), False, kernels.panel_lanes(dtype))
    X = np.array([-1e30, -800, -90, -20, -1, 0, 1, 20, 90, 800, 1e30], dtype)[:, None]
    actual = run(kernels.input_gradients.serial, plan, np.ones(1, dtype), X, kernels.SIGMOID)
    z = X.astype(float)
    expected = special.expit(z) * special.expit(-z)
    info = np.finfo(dtype)
    assert_allclose(actual[:, 0], expected, rtol=8 * float(info.eps), atol=float(info.tiny))
    # 1 - p would be 0.
    assert actual[7, 0, 0] > 0
    assert_array_equal(actual, actual[::-1])


@dtypes
def test_saturated_softmax_has_accurate_derivatives(dtype: Any) -> None:
    plan = kernels.plan_network((3, 3), False, kernels.panel_lanes(dtype))
    values = [-1e30, -800, -20, -1, 0, 1, 20, 800, 1e30]
    X = np.array(np.meshgrid(values, values, values), dtype).reshape(3, -1).T.copy()
    identity = np.eye(3, dtype=dtype).ravel()
    actual = run(kernels.input_gradients.serial, plan, identity, X, kernels.SOFTMAX)
    p = special.softmax(X.astype(float), axis=1)
    expected = -p[:, :, None] * p[:, None]
    for unit in range(3):
        expected[:, unit, unit] = p[:, unit] * np.delete(p, unit, axis=1).sum(axis=1)
    info = np.finfo(dtype)
    assert_allclose(actual, expected, rtol=16 * float(info.eps), atol=float(info.tiny))


@dtypes
@outputs
def test_a_row_does_not_depend_on_the_rows_around_it(dtype: Any, output: int) -> None:
    plan, params, X = draw((4, 9, 3), True, 70, dtype)
    serial = kernels.input_gradients.serial
    together = run(serial, plan, params, X, output)
    for i in range(70):
        assert_array_equal(run(serial, plan, params, X[[i]], output)[0], together[i])
    order = np.random.default_rng(1).permutation(70)[:50]
    for form, n_threads in forms(kernels.input_gradients):
        some = run(form, plan, params, X, output, n_threads, order)
        assert_array_equal(some, together[order])


@dtypes
@outputs
@pytest.mark.parametrize("sizes", [(3, 2), (40, 7, 3)], ids=str)
def test_sparse_features_give_the_bits_of_dense_ones(dtype: Any, output: int, sizes: Any) -> None:
    plan, params, X = draw(sizes, True, 100, dtype)
    X[np.random.default_rng(1).random(X.shape) < 0.7] = 0
    X[[0, 31, 32, 99]] = 0
    matrix = sparse.csr_matrix(X)
    expected = run(kernels.input_gradients.serial, plan, params, X, output)
    for form, n_threads in forms(kernels.input_gradients):
        assert_array_equal(run(form, plan, params, matrix, output, n_threads), expected)
    assert_close(run(reference.input_gradients, plan, params, matrix, output), expected, dtype)


@dtypes
def test_no_rows_are_no_output(dtype: Any) -> None:
    plan, params, X = draw((4, 9, 3), True, 0, dtype)
    for form, n_threads in forms(kernels.input_gradients):
        for matrix in (X, sparse.csr_matrix(X)):
            assert run(form, plan, params, matrix, kernels.SOFTMAX, n_threads).size == 0


@dtypes
def test_arguments_are_left_alone(dtype: Any) -> None:
    plan, params, X = draw((4, 9, 3), True, 40, dtype)
    before = plan.copy(), params.copy(), X.copy()
    run(kernels.input_gradients.parallel, plan, params, X, kernels.SOFTMAX, n_threads=2)
    for array, copy in zip((plan, params, X), before, strict=True):
        assert_array_equal(array, copy)


@dtypes
@networks
@outputs
def test_used_panels_give_the_bits_of_new_ones(dtype: Any, sizes: Any, output: int) -> None:
    plan, params, X = draw(sizes, True, 40, dtype)
    panels = kernels.new_panels(plan, 1, kernels.panel_lanes(dtype), dtype)
    case = (kernels.input_gradients.serial, plan, params, X, output)
    first = run(*case, panels=panels)
    assert_array_equal(run(*case, panels=panels), first)


@dtypes
def test_any_n_jobs_gives_the_same_bits(dtype: Any) -> None:
    sizes = (28, 64, 3)
    network = Network(sizes, True, np.dtype(dtype))
    plan, params, X = draw(sizes, True, 100, dtype)
    X[X < 0.5] = 0
    X.flags.writeable = False
    matrix = sparse.csr_matrix(X)
    expected = run(kernels.input_gradients.serial, plan, params, X, kernels.SIGMOID)
    for features in (Features.of(X), Features.of(matrix)):
        for n_jobs in (None, 1, 2):
            actual = derivatives.input_gradients(network, params, features, kernels.SIGMOID, n_jobs)
            assert_array_equal(actual, expected)
