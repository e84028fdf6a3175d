"""Gradients of the whole network, through the estimator, against finite differences."""

from itertools import chain

import numpy as np
import pytest
from scipy.optimize import check_grad

from fastnet import SigmoidMLPClassifier

TARGETS = {
    "binary": np.array([0, 1, 1, 0, 1, 0, 1]),
    "multiclass": np.array([0, 1, 2, 2, 1, 0, 2]),
    "multilabel": np.array([[0, 1], [1, 1], [0, 0], [1, 0], [1, 1], [0, 1], [1, 0]]),
}


@pytest.fixture(params=["log_loss", "squared_error"])
def loss(request):
    return request.param


@pytest.fixture(
    params=[(), (4,), *(pytest.param(h, marks=pytest.mark.thorough) for h in ((4, 3), (3, 5, 2)))],
    ids=str,
)
def hidden(request):
    return request.param


def fitted(loss, hidden, kind, **parameters):
    X = np.random.default_rng(0).normal(size=(7, 3))
    y = TARGETS[kind]
    classes = np.arange(2) if kind == "multilabel" else np.unique(y)
    model = SigmoidMLPClassifier(hidden, loss=loss, init="normal", random_state=2, **parameters)
    return model.partial_fit(X, y, classes=classes), X, y


@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("weights", [None, [2, 0.5, 0, 1, -1, 3, 1]], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", TARGETS)
def test_every_layer_by_finite_differences(loss, hidden, kind, weights, alpha):
    model, X, y = fitted(loss, hidden, kind)
    _, *gradients = model.loss_gradients(X, y, weights, alpha=alpha)
    scale = np.linalg.norm(np.concatenate([g.ravel() for g in chain(*gradients)]))
    for name, layer_gradients in zip(("coefs_", "intercepts_"), gradients, strict=True):
        for layer, gradient in enumerate(layer_gradients):
            start = getattr(model, name)[layer].copy()

            def loss_of(values, name=name, layer=layer, shape=start.shape):
                getattr(model, name)[layer] = values.reshape(shape)
                return model.loss_gradients(X, y, weights, alpha=alpha)[0]

            error = check_grad(loss_of, lambda _, g=gradient: g.ravel(), start.ravel())
            getattr(model, name)[layer] = start
            # check_grad rounds at some 1e-8 of the loss: too coarse a measure for the
            # small gradients of early layers alone. tests/kernels/test_epoch.py has those, by
            # complex steps, to 1e-12.
            assert error <= 1e-6 * scale


@pytest.mark.parametrize("kind", TARGETS)
def test_no_intercept_means_zero_gradient(loss, kind):
    model, X, y = fitted(loss, (4,), kind, fit_intercept=False)
    assert all((intercept == 0).all() for intercept in model.intercepts_)
    with_intercept = fitted(loss, (4,), kind)[0]
    with_intercept.coefs_, with_intercept.intercepts_ = model.coefs_, model.intercepts_
    _, coef_gradients, intercept_gradients = model.loss_gradients(X, y)
    for ours, theirs in zip(coef_gradients, with_intercept.loss_gradients(X, y)[1], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert all((gradient == 0).all() for gradient in intercept_gradients)


def test_gradient_leaves_the_model_alone(loss):
    model, X, y = fitted(loss, (4,), "binary")
    before = [coef.copy() for coef in model.coefs_]
    model.loss_gradients(X, y)
    for now, then in zip(model.coefs_, before, strict=True):
        np.testing.assert_array_equal(now, then)
