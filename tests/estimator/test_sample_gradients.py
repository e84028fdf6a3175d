"""The gradient of each sample's own loss: scikit-learn's, the complex step's, our twin's."""

from collections.abc import Iterator
from copy import deepcopy
from itertools import chain
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, sparse
from sklearn.neural_network import MLPClassifier

from fastnet import SigmoidMLPClassifier, kernels
from fastnet._engine import derivatives, losses
from fastnet._engine.features import Features, read_only
from fastnet._engine.network import Network

from .. import reference
from .._support.training import LOSSES, dtypes, every_loss, targets
from .._support.workers import blocks_of, new_claims
from ..reference import Array, assert_close, forms

pytestmark = pytest.mark.thorough

# No hidden layer to three; widths of 1, 5, 64 and 128, whose rows are padded.
NETWORKS = [(3, 1), (5, 4), (1, 1, 1), (2, 7, 3), (6, 64, 1), (2, 5, 128), (3, 128, 5, 4, 2)]
N_THREADS = 3


Arguments = dict[str, Any]

networks = pytest.mark.parametrize("sizes", NETWORKS, ids=str)
intercepts = pytest.mark.parametrize("fit_intercept", [True, False])
# The softmax of one unit is constant, and its complex step a rounding error.
networks_and_losses = pytest.mark.parametrize(
    ("sizes", "loss"),
    [
        pytest.param(sizes, loss, id=f"{sizes}-{name}")
        for sizes in NETWORKS
        for name, loss in LOSSES.items()
        if sizes[-1] > 1 or name != "categorical"
    ],
)
kinds = pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
hidden_layers = pytest.mark.parametrize("hidden", [(), (4,), (5, 3)], ids=str)


def problem(
    sizes: Any, dtype: Any, *, n_samples: int, loss: int = kernels.BINARY_LOG_LOSS,
    fit_intercept: bool = True, sparsity: float = 0.0,
) -> Arguments:  # fmt: skip
    """Return what the kernel takes, by name; rows are dense."""
    rng = np.random.default_rng(0)
    plan = kernels.plan_network(sizes, fit_intercept, 1)
    params = rng.normal(scale=0.5, size=kernels.count_parameters(plan))
    params = reference.flatten(reference.network_layers(plan, params)).astype(dtype)
    X = rng.normal(size=(n_samples, sizes[0])).astype(dtype)
    X[rng.random(X.shape) < sparsity] = 0
    return {
        "X": X, "indices": None, "indptr": None,
        "Y": targets(loss, (n_samples, sizes[-1]), dtype, rng),
        "weights": np.empty(0, dtype), "order": np.arange(n_samples),
        "plan": plan, "params": params, "loss": loss,
        "rows": kernels.new_panels(plan, N_THREADS, 1, dtype).reshape(N_THREADS, -1),
    }  # fmt: skip


def in_sparse_form(arguments: Arguments) -> Arguments:
    """Return arguments with the same features, sparse."""
    matrix = sparse.csr_matrix(arguments["X"])
    return arguments | {
        "X": matrix.data.reshape(-1, 1),
        "indices": matrix.indices,
        "indptr": matrix.indptr.astype(np.int64),
    }


def run(form: Any, arguments: Arguments, n_threads: int = 1, block_rows: int = 3) -> Array:
    """Return the gradients that a form of the kernel, or its twin, writes."""
    params = arguments["params"]
    sizes = [*arguments["plan"][:, kernels.plan.FAN_IN], arguments["Y"].shape[1]]
    rows = arguments["plan"][0, kernels.plan.ROWS]
    network = Network(tuple(map(int, sizes)), bool(rows > sizes[0]), params.dtype)
    # What is there beforehand must not matter, but where it pads rows.
    out = np.zeros((len(arguments["order"]), params.size), params.dtype)
    for vector in out:
        for view in chain(*network.views(vector)):
            view[...] = np.nan
    claims = new_claims(blocks_of(len(out), block_rows))
    workers = {"claims": claims, "first_worker": 0, "last_worker": n_threads}
    form(**arguments, block_rows=block_rows, out=out, **workers)
    return out


def forms_for(arguments: Arguments) -> Iterator[tuple[Any, int]]:
    """Yield the forms of the kernel; for targets that are numbers, not the parallel one.

    To compile it for those, too, takes 20 s, and no estimator calls it.
    """
    for form, n_threads in forms(kernels.sample_gradients):
        if arguments["Y"].dtype == np.uint8 or form is not kernels.sample_gradients.parallel:
            yield form, n_threads


def of_reported(loss: int, n_outputs: int) -> int:
    """Return how many times the derivative of what is reported a gradient is.

    scikit-learn reports the mean over outputs, and descends along the derivative of their sum.
    """
    return n_outputs if loss == kernels.HALF_SQUARED_ERROR else 1


def labels(kind: str, n_samples: int) -> tuple[Array, Array, Array]:
    """Return labels of a kind, the classes, and the labels as targets of outputs."""
    rng = np.random.default_rng(3)
    if kind == "multilabel":
        Y = rng.integers(0, 2, (n_samples, 3))
        return Y, np.arange(3), Y.astype(np.uint8)
    n_classes = 2 if kind == "binary" else 3
    y = rng.integers(0, n_classes, n_samples)
    Y = np.eye(n_classes, dtype=np.uint8)[y]
    return y, np.arange(n_classes), np.ascontiguousarray(Y[:, 1:]) if kind == "binary" else Y


def pairs_of_layers(network: Network, first: Array, second: Any) -> Iterator[tuple[Array, Array]]:
    """Yield the weights and biases of one vector, each with those of the other's lists."""
    yield from zip(chain(*network.views(first)), chain(*second), strict=True)


@kinds
@hidden_layers
def test_gradients_are_the_steps_of_scikit_learn(kind: str, hidden: Any) -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    y, classes, Y = labels(kind, 20)
    # One step of plain descent, of rate 1, on one sample.
    model = MLPClassifier(
        hidden, activation="logistic", solver="sgd", momentum=0.0, nesterovs_momentum=False,
        learning_rate_init=1.0, alpha=0.0, batch_size=1, random_state=0,
    )  # fmt: skip
    model.partial_fit(X, y, classes=classes)
    network = Network((3, *hidden, model.n_outputs_), True, np.dtype(float))
    params = network.pack(model.coefs_, model.intercepts_)
    loss = losses.CATEGORICAL_LOG_LOSS if kind == "multiclass" else losses.BINARY_LOG_LOSS
    gradients = derivatives.sample_gradients(network, params, Features.of(X), Y, loss)
    for i in range(20):
        stepped = deepcopy(model).partial_fit(X[[i]], y[[i]])
        after = stepped.coefs_, stepped.intercepts_
        before = network.views(params)
        pairs = pairs_of_layers(network, gradients[i], after)
        for (gradient, moved), start in zip(pairs, chain(*before), strict=True):
            assert_allclose(gradient, start - moved, rtol=0, atol=1e-14)


@kinds
@hidden_layers
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_their_mean_is_the_gradient_of_the_mean(
    kind: str, hidden: Any, loss: str, fit_intercept: bool
) -> None:
    X = np.random.default_rng(0).normal(size=(50, 3))
    y, classes, Y = labels(kind, 50)
    model = SigmoidMLPClassifier(hidden, loss=loss, fit_intercept=fit_intercept, random_state=0)
    model.partial_fit(X, y, classes=classes)
    network = Network((3, *hidden, Y.shape[1]), fit_intercept, np.dtype(float))
    params = network.pack(model.coefs_, model.intercepts_)
    record = losses.CATEGORICAL_LOG_LOSS if kind == "multiclass" else losses.BINARY_LOG_LOSS
    record = losses.SQUARED_ERROR if loss == "squared_error" else record
    gradients = derivatives.sample_gradients(network, params, Features.of(X), Y, record)
    _, *expected = model.loss_gradients(X, y)
    for mean, gradient in pairs_of_layers(network, gradients.mean(axis=0), expected):
        assert_close(mean, gradient, np.float64)


@dtypes
@networks_and_losses
@intercepts
def test_gradients_are_exact(dtype: Any, sizes: Any, fit_intercept: bool, loss: int) -> None:
    arguments = problem(sizes, dtype, n_samples=11, loss=loss, fit_intercept=fit_intercept)
    X, Y = arguments["X"].astype(float), arguments["Y"]
    exact = np.empty((11, arguments["params"].size))
    for i in range(arguments["params"].size):
        moved = arguments["params"].astype(complex)
        moved[i] += 1e-30j
        layers = reference.split_parameters(sizes, fit_intercept, moved)
        values = reference.loss_of_logits(loss, reference.forward_pass(layers, X)[-1], Y)
        exact[:, i] = values.sum(axis=1).imag / 1e-30
    exact *= of_reported(loss, sizes[-1])
    assert_close(run(reference.sample_gradients, arguments), exact, dtype)
    for form, n_threads in forms_for(arguments):
        assert_close(run(form, arguments, n_threads), exact, dtype)


@every_loss
def test_gradients_are_the_slopes_of_the_losses(loss: int) -> None:
    arguments = problem((3, 4, 2), np.float64, n_samples=5, loss=loss)
    gradients = run(kernels.sample_gradients.serial, arguments)
    for i in range(5):
        X, Y = arguments["X"][[i]], arguments["Y"][[i]]

        def loss_at(params: Array, X: Array = X, Y: Array = Y) -> float:
            return float(reference.loss_of_parameters((3, 4, 2), True, loss, params, X, Y))

        slopes = optimize.approx_fprime(arguments["params"], loss_at)
        assert_allclose(gradients[i], of_reported(loss, 2) * slopes, rtol=0, atol=1e-6)


@dtypes
@networks
@intercepts
@every_loss
def test_kernel_is_its_twin(dtype: Any, sizes: Any, fit_intercept: bool, loss: int) -> None:
    for n_samples in (1, 2, 40):
        arguments = problem(
            sizes, dtype, n_samples=n_samples, loss=loss, fit_intercept=fit_intercept
        )
        first = run(kernels.sample_gradients.serial, arguments)
        assert_close(first, run(reference.sample_gradients, arguments), dtype)
        for form, n_threads in forms_for(arguments):
            for block_rows in (1, 7, 40):
                assert_array_equal(run(form, arguments, n_threads, block_rows), first)


@dtypes
@every_loss
def test_sparse_features_give_the_bits_of_dense_ones(dtype: Any, loss: int) -> None:
    for sizes in ((3, 2), (40, 7, 3)):
        arguments = problem(sizes, dtype, n_samples=50, loss=loss, sparsity=0.7)
        arguments["X"][[0, 20, 49]] = 0
        expected = run(kernels.sample_gradients.serial, arguments)
        in_sparse = in_sparse_form(arguments)
        for form, n_threads in forms_for(arguments):
            assert_array_equal(run(form, in_sparse, n_threads), expected)
        assert_close(run(reference.sample_gradients, in_sparse), expected, dtype)


@dtypes
def test_rows_are_in_the_order_asked_for(dtype: Any) -> None:
    arguments = problem((4, 9, 3), dtype, n_samples=30)
    every = run(kernels.sample_gradients.serial, arguments)
    order = np.random.default_rng(1).permutation(30)[:20]
    for form, n_threads in forms_for(arguments):
        some = run(form, arguments | {"order": order}, n_threads)
        assert_array_equal(some, every[order])


@dtypes
@every_loss
def test_a_weight_multiplies_its_samples_gradient(dtype: Any, loss: int) -> None:
    arguments = problem((4, 9, 3), dtype, n_samples=30, loss=loss)
    weights = np.random.default_rng(1).choice([0.0, 0.5, 1.0, 4.0], 30).astype(dtype)
    order = np.arange(30)[::-1].copy()
    expected = run(kernels.sample_gradients.serial, arguments)[order] * weights[order, None]
    weighted = arguments | {"weights": weights, "order": order}
    for form, n_threads in forms_for(arguments):
        assert_array_equal(run(form, weighted, n_threads), expected)
    assert_close(run(reference.sample_gradients, weighted), expected, dtype)


@dtypes
def test_no_rows_are_no_output(dtype: Any) -> None:
    arguments = problem((4, 9, 3), dtype, n_samples=0)
    for form, n_threads in forms_for(arguments):
        for features in (arguments, in_sparse_form(arguments)):
            assert run(form, features, n_threads).size == 0


@dtypes
def test_arguments_are_left_alone(dtype: Any) -> None:
    arguments = problem((4, 9, 3), dtype, n_samples=30)
    before = deepcopy(arguments)
    run(kernels.sample_gradients.parallel, arguments, n_threads=2)
    for name in ("X", "Y", "order", "plan", "params"):
        assert_array_equal(arguments[name], before[name])


@dtypes
@networks
def test_used_rows_give_the_bits_of_new_ones(dtype: Any, sizes: Any) -> None:
    arguments = problem(sizes, dtype, n_samples=20)
    first = run(kernels.sample_gradients.serial, arguments)
    assert_array_equal(run(kernels.sample_gradients.serial, arguments), first)


@dtypes
def test_any_n_jobs_gives_the_same_bits(dtype: Any) -> None:
    sizes = (28, 128, 3)
    network = Network(sizes, True, np.dtype(dtype))
    arguments = problem(sizes, dtype, n_samples=100, sparsity=0.7)
    expected = run(kernels.sample_gradients.serial, arguments)
    for data in (arguments, in_sparse_form(arguments)):
        given = [data[name] for name in ("X", "indices", "indptr")]
        features = Features(*(None if array is None else read_only(array) for array in given))
        for n_jobs in (None, 1, 2):
            actual = derivatives.sample_gradients(
                network, data["params"], features, data["Y"], losses.BINARY_LOG_LOSS, n_jobs
            )
            assert_array_equal(actual, expected)
