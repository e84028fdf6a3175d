"""The opponent: a sigmoid network in plain numpy, vectorised, matrix products by BLAS.

Written as a careful numpy user would: no loop over samples or units, no temporary where
an operation in place will do, losses from logits so that nothing overflows.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]


def sigmoid(z: FloatArray) -> FloatArray:
    """Replace `z` by 1 / (1 + exp(-z)) and return it.

    Where exp(-z) overflows, infinity leads to the right limit; `train_epoch` and
    `predict_proba` silence numpy's warning of it, once for all their calls.
    """
    np.negative(z, out=z)
    np.exp(z, out=z)
    z += 1
    return np.reciprocal(z, out=z)


def softmax(z: FloatArray) -> FloatArray:
    """Replace the rows of `z` by exp(z) / sum(exp(z)) and return it."""
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)
    return z


def forward(
    X: FloatArray, coefs: Sequence[FloatArray], intercepts: Sequence[FloatArray]
) -> list[FloatArray]:
    """Return the activations of every layer: X, the hidden layers', the logits."""
    activations = [X]
    for coef, intercept in zip(coefs, intercepts, strict=True):
        z = activations[-1] @ coef
        z += intercept
        activations.append(z if len(activations) == len(coefs) else sigmoid(z))
    return activations


def _loss_and_delta(z: FloatArray, Y: FloatArray, loss: str) -> tuple[float, FloatArray]:
    """Return the summed loss and its derivative by the logits `z`, which it overwrites."""
    if loss == "squared_error":
        p = sigmoid(z)
        error = p - Y
        return float(np.vdot(error, error)), 2 * error * p * (1 - p)
    # log(p) = z - log(sum(exp(z))); of two classes, one has the logit 0.
    if z.shape[1] == 1:
        total = float(np.logaddexp(0, z).sum() - np.vdot(Y, z))
        return total, np.subtract(sigmoid(z), Y, out=z)
    z -= z.max(axis=1, keepdims=True)
    total = float(np.log(np.exp(z).sum(axis=1)).sum() - np.vdot(Y, z))
    return total, np.subtract(softmax(z), Y, out=z)


def loss_and_gradients(
    X: FloatArray,
    Y: FloatArray,
    coefs: Sequence[FloatArray],
    intercepts: Sequence[FloatArray],
    loss: str = "log_loss",
    alpha: float = 0.0,
) -> tuple[float, list[FloatArray], list[FloatArray]]:
    """Return the mean loss over the rows and its gradients by weights and biases.

    Parameters
    ----------
    X, Y : ndarray of shape (n_samples, n_features) and (n_samples, n_outputs)
        Inputs and targets, of one dtype.
    coefs, intercepts : sequences of ndarray
        Weights (fan_in, fan_out) and biases (fan_out,) of every layer.
    loss : {"log_loss", "squared_error"}
        One output means two classes; under log-loss, several mean softmax.
    alpha : float
        Strength of the L2 penalty on the weights, divided by n_samples as in
        scikit-learn.
    """
    n_samples = len(X)
    activations = forward(X, coefs, intercepts)
    total, delta = _loss_and_delta(activations.pop(), Y, loss)
    delta /= n_samples
    coef_grads: list[FloatArray] = []
    intercept_grads: list[FloatArray] = []
    for coef, a in zip(reversed(coefs), reversed(activations), strict=True):
        coef_grads.insert(0, a.T @ delta)
        intercept_grads.insert(0, delta.sum(axis=0))
        if a is not X:
            delta = delta @ coef.T
            delta *= a
            delta *= 1 - a
    if alpha > 0:
        for coef, grad in zip(coefs, coef_grads, strict=True):
            total += 0.5 * alpha * float(np.vdot(coef, coef))
            grad += alpha / n_samples * coef
    return total / n_samples, coef_grads, intercept_grads


def train_epoch(
    X: FloatArray,
    Y: FloatArray,
    coefs: Sequence[FloatArray],
    intercepts: Sequence[FloatArray],
    order: npt.NDArray[np.int64],
    batch_size: int,
    learning_rate: float,
    loss: str = "log_loss",
    alpha: float = 0.0,
) -> float:
    """Train in place on all rows in the given order; return the mean loss on the way."""
    total = 0.0
    with np.errstate(over="ignore"):
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch_loss, *grads = loss_and_gradients(
                X[rows], Y[rows], coefs, intercepts, loss, alpha
            )
            for parameters, gradients in zip((coefs, intercepts), grads, strict=True):
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    gradient *= learning_rate
                    parameter -= gradient
            total += batch_loss * len(rows)
    return total / len(order)


def predict_proba(
    X: FloatArray,
    coefs: Sequence[FloatArray],
    intercepts: Sequence[FloatArray],
    loss: str = "log_loss",
) -> FloatArray:
    """Return the probability of every class, one row for each row of X."""
    with np.errstate(over="ignore"):
        z = forward(X, coefs, intercepts)[-1]
        if z.shape[1] > 1 and loss == "log_loss":
            return softmax(z)
        p = sigmoid(z)
    if p.shape[1] > 1:
        return p / p.sum(axis=1, keepdims=True)
    return np.hstack([1 - p, p])
