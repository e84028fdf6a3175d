"""Slow, obvious twins of the kernels: same names, same arguments, plain numpy.

The mathematics of a network stands here once, for a list of one (weights, biases) pair
per layer, in float64 whatever the kernel's dtype; results are rounded when they are
written to the caller's arrays. Arguments that only say how a kernel shares out its work
(panels, strips, workers) are taken and ignored; of claims, only what is to be left there
is written.

Written for real numbers with scipy's functions, which are accurate everywhere, and for
complex ones in formulas that are analytic, so that `loss_of_parameters` can be
differentiated by a complex step. The steps of the optimisers are in `optimizers.py`.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from fastnet import kernels

from ._support.features import dense_features
from ._support.optimizers import clip, optimizer_step, settle
from ._support.workers import FromThreads, shares_by_claims

columns = kernels.plan
update = kernels.update

Array = npt.NDArray[Any]
Layers = list[tuple[Array, Array]]

DTYPES = (np.float32, np.float64)

NO_WEIGHTS = np.empty(0)

# How far a kernel may be from its twin, relative to the largest element of a result.
RTOL = {np.float32: 2e-5, np.float64: 1e-12}


def assert_close(actual: Array, desired: Array, dtype: Any, scale: float = 1.0) -> None:
    """Assert that two arrays agree to `scale` times the tolerance of a dtype."""
    rtol = scale * RTOL[dtype]
    atol = rtol * float(np.max(np.abs(desired), initial=0.0))
    np.testing.assert_allclose(actual, desired, rtol=rtol, atol=atol)


def forms(kernel: Any) -> Iterator[tuple[Any, int]]:
    """Yield both forms of a kernel, each with every number of threads to try.

    The serial form of one that shares its work by claims has its workers in turn, and then
    each in a thread of its own.
    """
    for form in kernel:
        for n_threads in (1, 2, 3):
            yield form, n_threads
    if shares_by_claims(kernel):
        for n_threads in (2, 3):
            yield FromThreads(kernel.serial), n_threads


def sigmoid(z: Array) -> Array:
    """Return 1 / (1 + exp(-z))."""
    return special.expit(z) if np.isrealobj(z) else 1 / (1 + np.exp(-z))


def log_sigmoid(z: Array) -> Array:
    """Return log(sigmoid(z))."""
    return special.log_expit(z) if np.isrealobj(z) else -np.log(1 + np.exp(-z))


def log_softmax(z: Array) -> Array:
    """Return log(softmax) of every row."""
    if np.isrealobj(z):
        return special.log_softmax(z, axis=1)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def split_parameters(sizes: Sequence[int], fit_intercept: bool, params: Array) -> Layers:
    """Return copies of every layer's (fan_in, fan_out) weights and biases.

    Biases are a matrix of one row, or of none, so that their sum over rows is what to
    add with and without an intercept alike.
    """
    layers = []
    start = 0
    for fan_in, fan_out in pairwise(sizes):
        rows, stride = fan_in + fit_intercept, kernels.row_stride(fan_out)
        matrix = params[start : start + rows * stride].reshape(rows, stride)[:, :fan_out]
        matrix = matrix.astype(np.result_type(params, np.float64))
        layers.append((matrix[:fan_in], matrix[fan_in:]))
        start += rows * stride
    return layers


def network_layers(plan: Array, params: Array) -> Layers:
    """Return every layer's weights and biases, for the layer sizes of a plan."""
    sizes = [*plan[:, columns.FAN_IN], plan[-1, columns.FAN_OUT]]
    return split_parameters(sizes, bool(plan[0, columns.ROWS] > plan[0, columns.FAN_IN]), params)


def flatten(layers: Layers) -> Array:
    """Return one vector of all layers; the inverse of `split_parameters`."""
    rows = [row for layer in layers for matrix in layer for row in matrix]
    padding = [np.zeros(kernels.row_stride(len(row)) - len(row)) for row in rows]
    return np.concatenate([part for pair in zip(rows, padding, strict=True) for part in pair])


def forward_pass(layers: Layers, X: Array) -> list[Array]:
    """Return X, the activations of the hidden layers and the logits."""
    activations = [X]
    for weight, bias in layers:
        a = activations[-1] if len(activations) == 1 else sigmoid(activations[-1])
        activations[-1] = a
        activations.append(a @ weight + bias.sum(axis=0))
    return activations


def loss_of_logits(loss: int, z: Array, Y: Array) -> Array:
    """Return what each output of each sample adds to the loss."""
    if loss == kernels.BINARY_LOG_LOSS:
        return np.where(Y == 1, -log_sigmoid(z), -log_sigmoid(-z))
    if loss == kernels.CATEGORICAL_LOG_LOSS:
        return np.where(Y == 1, -log_softmax(z), 0.0)
    if loss == kernels.HALF_SQUARED_ERROR:
        # Of several outputs the mean, as scikit-learn reports it.
        return 0.5 * (z - Y) ** 2 / z.shape[1]
    if loss == kernels.HALF_POISSON_DEVIANCE:
        return special.xlogy(Y, Y) - Y * z - Y + np.exp(z)
    return (sigmoid(z) - Y) ** 2


def delta_of_logits(loss: int, z: Array, Y: Array) -> Array:
    """Return the derivative of the loss by the logits."""
    if loss == kernels.BINARY_LOG_LOSS:
        return special.expit(z) - Y
    if loss == kernels.CATEGORICAL_LOG_LOSS:
        return special.softmax(z, axis=1) - Y
    if loss == kernels.HALF_SQUARED_ERROR:
        return z - Y
    if loss == kernels.HALF_POISSON_DEVIANCE:
        return np.exp(z) - Y
    p = special.expit(z)
    return 2 * (p - Y) * p * (1 - p)


def counts_of(weights: Array, n_samples: int) -> Array:
    """Return how often each sample counts: once where no weights are given."""
    return weights.astype(float) if weights.size else np.ones(n_samples)


def loss_of_parameters(
    sizes: Sequence[int], fit_intercept: bool, loss: int, params: Array, X: Array, Y: Array,
    weights: Array = NO_WEIGHTS,
) -> Any:  # fmt: skip
    """Return the mean loss without penalty; analytic in complex parameters."""
    layers = split_parameters(sizes, fit_intercept, params)
    losses = loss_of_logits(loss, forward_pass(layers, X)[-1], Y).sum(axis=1)
    counts = counts_of(weights, len(X))
    return (counts * losses).sum() / counts.sum()


def loss_and_gradients(
    layers: Layers, loss: int, X: Array, Y: Array, alpha: float, weights: Array = NO_WEIGHTS
) -> tuple[float, Layers]:
    """Return the summed loss and the gradients of its mean, both with the penalty."""
    counts = counts_of(weights, len(X))[:, np.newaxis]
    *activations, logits = forward_pass(layers, X)
    total = (counts * loss_of_logits(loss, logits, Y)).sum()
    total += 0.5 * alpha * sum((weight**2).sum() for weight, _ in layers)
    delta = counts * delta_of_logits(loss, logits, Y)
    gradients: Layers = []
    for (weight, bias), a in zip(reversed(layers), reversed(activations), strict=True):
        of_bias = np.tile(delta.sum(axis=0), (len(bias), 1))
        of_weight = a.T @ delta + alpha * weight
        gradients.insert(0, (of_weight / counts.sum(), of_bias / counts.sum()))
        delta = delta @ weight.T * a * (1 - a)
    return float(total), gradients


# From here on, the twins.


def sigmoid_forward(z: Array, n_threads: int) -> None:
    """Replace the elements of an array by their sigmoid."""
    z[...] = special.expit(z.astype(float))


def sigmoid_backward(a: Array, delta: Array, n_threads: int) -> None:
    """Multiply `delta` by a (1 - a)."""
    a = a.astype(float)
    delta[...] = delta * (a * (1 - a))


def dense_forward(a: Array, weight: Array, z: Array, n_threads: int) -> None:
    """Compute ``z[p] = weight.T @ a[p]`` for every panel p."""
    for p in range(len(a)):
        z[p] = weight.T.astype(float) @ a[p].astype(float)


def dense_backward(delta: Array, weight: Array, delta_in: Array, n_threads: int) -> None:
    """Compute ``delta_in[p] = weight[:fan_in] @ delta[p]`` for every panel p."""
    fan_in = delta_in.shape[1]
    for p in range(len(delta)):
        delta_in[p] = weight[:fan_in].astype(float) @ delta[p].astype(float)


def dense_gradient(a: Array, delta: Array, grad: Array, n_threads: int) -> None:
    """Add ``a[p] @ delta[p].T`` to `grad`, of as many columns, for every panel p."""
    total = grad.astype(float)
    for p in range(len(a)):
        total += a[p].astype(float) @ delta[p, : grad.shape[1]].astype(float).T
    grad[...] = total


def forward(
    X: Array, indices: Array, indptr: Array, order: Array, plan: Array, params: Array,
    output: int, first_layer: int, panels: Array, group: int, block_panels: int, out: Array,
    zeros: Array, claims: Array, first_worker: int, last_worker: int,
) -> None:  # fmt: skip
    """Write the activations of the layers from `first_layer` on, one after the other."""
    zeros[first_worker:last_worker] += 0 * X.sum()
    rows = dense_features(X, indices, indptr, plan[0, columns.FAN_IN])
    activations = forward_pass(network_layers(plan, params), rows)
    if output == kernels.SIGMOID:
        activations[-1] = special.expit(activations[-1])
    elif output == kernels.PAIR:
        activations[-1] = special.expit(activations[-1] * [-1, 1])
    elif output == kernels.SOFTMAX:
        activations[-1] = special.softmax(activations[-1], axis=1)
    elif output == kernels.EXPONENTIAL:
        activations[-1] = np.exp(activations[-1])
    out[:] = np.concatenate([a.ravel() for a in activations[1 + first_layer :]])


def train_batches(
    X: Array, indices: Array, indptr: Array, Y: Array, weights: Array,
    order: Array, first_sample: int, last_sample: int, batch_size: int,
    plan: Array, strips: Array, runs: Array, params: Array, grad: Array, state: Array,
    loss: int, solver: int, hyper: Array, powers: Array,
    panels: Array, block_panels: int, panel_losses: Array, squares: Array, total_loss: Array,
    step: Array, claims: Array, first_worker: int, last_worker: int,
) -> None:  # fmt: skip
    """Train on mini-batches; `grad` is written by the solver GRADIENT only."""
    claims[kernels.N_TRAINED] = train_rows(
        X, indices, indptr, Y, weights, order, first_sample, last_sample, batch_size,
        plan, params, grad, state, loss, solver, hyper, powers, panels, total_loss,
    )  # fmt: skip


def train_blocks(
    X: Array, indices: Array, indptr: Array, Y: Array, weights: Array,
    order: Array, first_sample: int, last_sample: int, batch_size: int,
    plan: Array, params: Array, grad: Array, state: Array,
    loss: int, solver: int, hyper: Array, powers: Array,
    panels: Array, panel_losses: Array, total_loss: Array, step: Array,
    claims: Array, first_worker: int, last_worker: int,
) -> None:  # fmt: skip
    """Train as `train_batches` does; the first block's gradient is that of all."""
    claims[kernels.N_TRAINED] = train_rows(
        X, indices, indptr, Y, weights, order, first_sample, last_sample, batch_size,
        plan, params, grad[: params.size], state, loss, solver, hyper, powers, panels, total_loss,
    )  # fmt: skip


def mini_batches(
    first: int, last: int, batch_size: int, epoch_size: int
) -> Iterator[tuple[int, int]]:
    """Yield where each mini-batch begins and ends; none is of two epochs."""
    while first < last:
        end = min(first + batch_size, last, (first // epoch_size + 1) * epoch_size)
        yield first, end
        first = end


def train_rows(
    X: Array, indices: Array, indptr: Array, Y: Array, weights: Array,
    order: Array, first_sample: int, last_sample: int, batch_size: int,
    plan: Array, params: Array, grad: Array, state: Array,
    loss: int, solver: int, hyper: Array, powers: Array, rows: Array, total_loss: Array,
) -> int:  # fmt: skip
    """Train as `train_batches` does; return the number of samples trained on."""
    features = dense_features(X, indices, indptr, plan[0, columns.FAN_IN])
    epoch_size = len(order) // len(total_loss)
    for first, end in mini_batches(first_sample, last_sample, batch_size, epoch_size):
        batch = order[first:end]
        counts = counts_of(weights, len(Y))[batch]
        if counts.sum() == 0:
            continue
        batch_loss, gradients = loss_and_gradients(
            network_layers(plan, params), loss, features[batch], Y[batch].astype(float),
            hyper[update.ALPHA], counts,
        )  # fmt: skip
        if not np.isfinite(batch_loss):
            return first - first_sample
        gradient = clip(flatten(gradients), hyper[update.MAX_GRAD_NORM])
        if solver == kernels.GRADIENT:
            grad[:] = gradient
        optimizer_step(solver, params, gradient, state, hyper, powers)
        if first % epoch_size // len(batch) % 32 == 0:
            settle(solver, params, state)
        total_loss[first // epoch_size] += batch_loss / counts.sum() * len(batch)
    return last_sample - first_sample


def shuffle(orders: np.ndarray, places: np.ndarray, key: np.ndarray, position: int) -> int:
    """Shuffle orders in place as numpy does, and return the generator's new position."""
    random_state = np.random.RandomState()
    random_state.set_state(("MT19937", key, position))
    for i, order in enumerate(orders):
        order[:] = orders[max(0, i - 1)]
        random_state.shuffle(order)
    _, key[:], position, *_ = random_state.get_state()
    return position


def slopes_of_outputs(output: int, z: Array) -> Array:
    """Return the derivative of each output of each sample by each of its logits."""
    eye = np.eye(z.shape[1])
    if output == kernels.SIGMOID:
        return eye * (special.expit(z) * special.expit(-z))[:, None]
    if output == kernels.SOFTMAX:
        p = special.softmax(z, axis=1)
        return p[:, :, None] * (eye - p[:, None])
    if output == kernels.EXPONENTIAL:
        return eye * np.exp(z)[:, None]
    return np.tile(eye, (len(z), 1, 1))


def input_gradients(
    X: Array, indices: Array, indptr: Array, order: Array, plan: Array, params: Array,
    output: int, panels: Array, block_panels: int, out: Array,
    claims: Array, first_worker: int, last_worker: int,
) -> None:  # fmt: skip
    """Write the derivative of each output by each feature, by the chain rule."""
    features = dense_features(X, indices, indptr, plan[0, columns.FAN_IN])[order]
    layers = network_layers(plan, params)
    *activations, logits = forward_pass(layers, features)
    slopes = slopes_of_outputs(output, logits)
    for (weight, _), a in zip(reversed(layers[1:]), reversed(activations[1:]), strict=True):
        slopes = slopes @ weight.T * (a * (1 - a))[:, None]
    out[:] = (slopes @ layers[0][0].T).ravel()


def sample_gradients(
    X: Array, indices: Array, indptr: Array, Y: Array, weights: Array, order: Array,
    plan: Array, params: Array, loss: int, rows: Array, block_rows: int, out: Array,
    claims: Array, first_worker: int, last_worker: int,
) -> None:  # fmt: skip
    """Write each sample's own gradient, as if it were all there is."""
    features = dense_features(X, indices, indptr, plan[0, columns.FAN_IN])
    for place, i in enumerate(order):
        _, gradients = loss_and_gradients(
            network_layers(plan, params), loss, features[[i]], Y[[i]].astype(float), alpha=0.0
        )
        out[place] = flatten(gradients) * (weights[i] if weights.size else 1.0)
