"""The workloads that are benchmarked: the opponent is right, and so is the estimator."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from benchmarks import numpy_baseline
from benchmarks.workloads import WORKLOADS, make_problem
from fastnet import SigmoidMLPClassifier, kernels

from .. import reference

# The reference is slow, and the widest network teaches nothing that the others do not.
SMALL = [workload for workload in WORKLOADS if max(workload.sizes) < 1000]
LEARNING_RATE = 0.1
dtypes = pytest.mark.parametrize("dtype", reference.DTYPES)
workloads = pytest.mark.parametrize("workload", SMALL, ids=lambda workload: workload.name)


def loss_code(workload):
    if workload.loss == "squared_error":
        return kernels.SQUARED_ERROR
    return kernels.BINARY_LOG_LOSS if workload.sizes[-1] == 1 else kernels.CATEGORICAL_LOG_LOSS


def reference_epoch(problem):
    """Descend over the rows in their order, in float64; return coefs and intercepts."""
    X, Y = problem.X.astype(float), problem.targets.astype(float)
    layers = [
        (coef.astype(float), intercept.astype(float)[np.newaxis])
        for coef, intercept in zip(*problem.start, strict=True)
    ]
    batch = problem.workload.batch_size
    for first in range(0, len(X), batch):
        rows = slice(first, first + batch)
        _, gradients = reference.loss_and_gradients(
            layers, loss_code(problem.workload), X[rows], Y[rows], 0.0
        )
        layers = [
            (coef - LEARNING_RATE * coef_grad, intercept - LEARNING_RATE * intercept_grad)
            for (coef, intercept), (coef_grad, intercept_grad) in zip(
                layers, gradients, strict=True
            )
        ]
    return [coef for coef, _ in layers], [intercept[0] for _, intercept in layers]


def assert_same_weights(actual, expected, dtype):
    for ours, theirs in zip(actual, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            reference.assert_close(a, b, dtype)


@dtypes
@workloads
def test_numpy_baseline(workload, dtype):
    problem = make_problem(workload.shortened(), dtype)
    coefs, intercepts = ([a.copy() for a in arrays] for arrays in problem.start)
    numpy_baseline.train_epoch(
        problem.X,
        problem.targets.astype(dtype),
        coefs,
        intercepts,
        np.arange(len(problem.X)),
        workload.batch_size,
        LEARNING_RATE,
        workload.loss,
    )
    assert_same_weights((coefs, intercepts), reference_epoch(problem), dtype)


@dtypes
@workloads
def test_estimator(workload, dtype):
    problem = make_problem(workload.shortened(), dtype)
    model = SigmoidMLPClassifier(
        workload.sizes[1:-1],
        loss=workload.loss,
        solver="sgd",
        momentum=0,
        alpha=0,
        learning_rate_init=LEARNING_RATE,
        batch_size=workload.batch_size,
        shuffle=False,
        max_iter=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(
            problem.X,
            problem.y,
            coefs_init=problem.start.coefs,
            intercepts_init=problem.start.intercepts,
        )
    expected = reference_epoch(problem)
    assert_same_weights((model.coefs_, model.intercepts_), expected, dtype)
    p = numpy_baseline.predict_proba(problem.X, model.coefs_, model.intercepts_, workload.loss)
    reference.assert_close(model.predict_proba(problem.X), p, dtype)
