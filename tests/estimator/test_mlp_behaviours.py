"""What scikit-learn's tests of MLPClassifier cover, restated: solvers, inputs and stopping.

test_mlp_behaviours_state.py has what is kept between calls. Tested elsewhere already:
test_gradient -> test_gradients.py::test_every_layer_by_finite_differences;
test_shuffle -> test_trajectory.py::test_drawn_configuration;
test_adaptive_learning_rate -> test_trajectory.py, in the test of nearly that name;
test_nonfinite_params -> test_classifier.py::test_divergence_is_an_error;
test_minimum_input_sample_size -> test_classifier.py::test_too_small_a_validation_set.
For regressors only: test_lbfgs_regression, test_lbfgs_regression_maxfun,
test_multioutput_regression, test_partial_fit_regression, test_mlp_regressor_dtypes_casting.
"""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit
from sklearn.datasets import load_wine, make_moons, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

from fastnet import SigmoidMLPClassifier

from .._support.parity import without_notices

# Most tests ask for a number of epochs and get it.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DATA = {
    "binary": make_moons(150, noise=0.15, random_state=0),
    "multiclass": load_wine(return_X_y=True),
    "multilabel": make_multilabel_classification(90, 7, n_classes=3, random_state=0),
}
DATA = {kind: (scale(X), y) for kind, (X, y) in DATA.items()}
kinds = pytest.mark.parametrize("kind", DATA)


def both(hidden, **parameters):
    """Return the two estimators of the same seed and parameters, ours first."""
    ours = SigmoidMLPClassifier(hidden, random_state=0, **parameters)
    return ours, MLPClassifier(hidden, activation="logistic", random_state=0, **parameters)


def assert_same_weights(ours, theirs, rtol):
    """Compare every array, relative to its largest element."""
    pairs = zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True)
    for a, b in pairs:
        assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_every_layer_shrinks_as_the_penalty_grows(solver):
    """test_alpha."""
    norms = []
    for alpha in (0.0, 1.0, 30.0):
        model = SigmoidMLPClassifier(
            (6,), solver=solver, alpha=alpha, learning_rate_init=0.1, random_state=0
        ).fit(*DATA["multiclass"])
        norms.append([np.abs(coef).sum() for coef in model.coefs_])
    assert (np.diff(norms, axis=0) < 0).all()


def test_a_step_with_a_penalty_worked_by_hand():
    """test_fit: sample (1, -2) of class 1, alpha 0.1, learning rate 0.2.

    The hidden units have z = 0 and ln 3, so h = 1/2 and 3/4; the output has z = 0. Then
    dE/dz is -1/2 there and -1/2 * (2 * 1/4, -4 * 3/16) = (-1/4, 3/8) in the hidden layer.
    """
    x = np.array([[1.0, -2.0]])
    model = SigmoidMLPClassifier(
        (2,), solver="sgd", momentum=0, alpha=0.1, learning_rate_init=0.2, random_state=0
    ).partial_fit(x, [1], classes=[0, 1])
    model.coefs_ = [np.array([[2.0, 0.0], [1.0, 0.0]]), np.array([[2.0], [-4.0]])]
    model.intercepts_ = [np.array([0.0, math.log(3)]), np.array([2.0])]
    model.partial_fit(x, [1])
    # Half of alpha times 4 + 1 + 4 + 16 is 1.25.
    assert model.loss_ == pytest.approx(math.log(2) + 1.25, rel=1e-12)
    # dE/dW = x dE/dz + 0.1 W = [[-0.05, 0.375], [0.6, -0.75]]
    assert_allclose(model.coefs_[0], [[2.01, -0.075], [0.88, 0.15]], rtol=1e-12)
    assert_allclose(model.intercepts_[0], [0.05, math.log(3) - 0.075], rtol=1e-12)
    # dE/dv = -1/2 h + 0.1 v = [-0.05, -0.775]
    assert_allclose(model.coefs_[1], [[2.01], [-3.845]], rtol=1e-12)
    assert_allclose(model.intercepts_[1], [2.1], rtol=1e-12)
    hidden = expit([0.3, math.log(3) - 0.45])
    p = expit(2.01 * hidden[0] - 3.845 * hidden[1] + 2.1)
    assert_allclose(model.predict_proba(x), [[1 - p, p]], rtol=1e-12)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_without_hidden_layers_it_is_logistic_regression(solver, kind):
    """test_mlp_vs_poisson_glm_equivalent, whose other GLM is logistic regression."""
    X, y = DATA[kind]
    expected = LogisticRegression(C=1 / 5, tol=1e-10, max_iter=10_000).fit(X, y)
    steps = {"learning_rate_init": 0.5, "n_iter_no_change": np.inf, "max_iter": 2000}
    model = SigmoidMLPClassifier((), solver=solver, alpha=5, tol=1e-8, random_state=0, **steps)
    model.fit(X, y)
    # scipy's L-BFGS-B also stops where the loss falls by less than 2e-9 of itself.
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), rtol=2e-3)
    if kind == "binary":
        assert_allclose(model.coefs_[0], expected.coef_.T, rtol=1e-4)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_lbfgs_learns_and_predicts_labels(kind):
    """test_lbfgs_classification."""
    X, y = DATA[kind]
    model = SigmoidMLPClassifier((12,), solver="lbfgs", random_state=0).fit(X[::2], y[::2])
    assert model.score(X[::2], y[::2]) > 0.95
    predicted = model.predict(X[1::2])
    assert predicted.dtype == y.dtype
    assert np.mean(predicted == y[1::2]) > 0.9


@kinds
def test_lbfgs_takes_scikit_learns_steps(kind):
    """test_lbfgs_classification: also the same way there, from the same seed."""
    X, y = DATA[kind]
    ours, theirs = both((5, 4), solver="lbfgs", alpha=0.01, max_iter=15)
    assert ours.fit(X, y).n_iter_ == theirs.fit(X, y).n_iter_ == 15
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-8)
    assert_same_weights(ours, theirs, 1e-6)


@kinds
def test_max_fun_limits_lbfgs(kind):
    """test_lbfgs_classification_maxfun."""
    X, y = DATA[kind]
    messages = []
    models = both((12,), solver="lbfgs", max_fun=10)
    for model in models:
        with pytest.warns(ConvergenceWarning) as records:
            model.fit(X, y)
        messages.append([str(record.message) for record in records])
    assert messages[0] == messages[1]
    assert models[0].n_iter_ == models[1].n_iter_ <= 10
    assert_same_weights(*models, 1e-8)


@pytest.mark.thorough
def test_several_labels_at_once_are_learnt():
    """test_multilabel_classification."""
    X, Y = DATA["multilabel"]
    model = SigmoidMLPClassifier((30,), solver="lbfgs", max_iter=150, random_state=0).fit(X, Y)
    assert model.score(X, Y) > 0.97
    model = SigmoidMLPClassifier((30,), solver="sgd", learning_rate_init=0.5, random_state=0)
    for _ in range(600):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    assert model.score(X, Y) > 0.9
    model = SigmoidMLPClassifier((30,), early_stopping=True, random_state=0).fit(X, Y)
    assert model.predict(X).shape == Y.shape


@kinds
def test_labels_are_the_most_probable(kind):
    """test_predict_proba_binary, test_predict_proba_multiclass, test_predict_proba_multilabel."""
    X, y = DATA[kind]
    model = SigmoidMLPClassifier((5,), learning_rate_init=0.03, max_iter=50, random_state=0)
    model.fit(X, y)
    p, log_p = model.predict_proba(X), model.predict_log_proba(X)
    assert p.shape == log_p.shape == (len(X), 2 if kind == "binary" else 3)
    assert_array_equal(p.argmax(axis=1), log_p.argmax(axis=1))
    if kind == "multilabel":
        assert_array_equal(model.predict(X), p > 0.5)
        assert np.abs(p.sum(axis=1) - 1).max() > 0.1
    else:
        assert_array_equal(model.predict(X), p.argmax(axis=1))
        assert_allclose(p.sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_huge_features_saturate_hidden_units(solver):
    """test_nonfinite_params: what is an error without hidden layers is harmless behind them."""
    X = np.finfo(float).max * np.random.default_rng(0).uniform(size=(10, 2))
    y = np.arange(10) % 2
    ours, theirs = both((5,), solver=solver, max_iter=30)
    ours.fit(X, y)
    with np.errstate(over="ignore"):
        theirs.fit(X, y)
    assert ours.n_iter_ == theirs.n_iter_
    assert_same_weights(ours, theirs, 1e-8)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("container", ["csr_matrix", "csr_array", "csc_matrix", "csc_array"])
def test_sparse_features_are_the_dense_ones(container, solver):
    """test_sparse_matrices."""
    X = np.random.default_rng(0).poisson(0.5, (60, 9)).astype(float)
    X_sparse, y = getattr(sparse, container)(X), X[:, 0] > X[:, 1]
    dense, sparsely = (
        SigmoidMLPClassifier((7,), solver=solver, max_iter=20, random_state=1).fit(features, y)
        for features in (X, X_sparse)
    )
    if solver == "adam":
        dense.partial_fit(X, y)
        sparsely.partial_fit(X_sparse, y)
    for a, b in zip(dense.coefs_, sparsely.coefs_, strict=True):
        assert_array_equal(a, b)
    assert_array_equal(sparsely.predict(X_sparse), dense.predict(X))
    assert_array_equal(sparsely.predict_proba(X_sparse), sparsely.predict_proba(X))


def test_single_and_double_precision_agree():
    """test_mlp_classifier_dtypes_casting."""
    X, y = DATA["multiclass"]
    single, double = (
        SigmoidMLPClassifier((5, 3), learning_rate_init=0.03, random_state=1).fit(features, y)
        for features in (X.astype(np.float32), X)
    )
    assert_array_equal(single.predict(X.astype(np.float32)), double.predict(X))
    assert_allclose(single.predict_proba(X.astype(np.float32)), double.predict_proba(X), rtol=1e-2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lbfgs_keeps_the_dtype_of_the_features(dtype):
    """test_mlp_param_dtypes; adam is in test_classifier.py."""
    X, y = DATA["multiclass"]
    model = SigmoidMLPClassifier((5, 3), solver="lbfgs", max_iter=5, random_state=1)
    model.fit(X.astype(dtype), y)
    assert {array.dtype for array in model.coefs_ + model.intercepts_} == {np.dtype(dtype)}
    assert model.predict_proba(X.astype(dtype)).dtype == dtype


@kinds
def test_weights_are_split_with_the_samples(kind):
    """test_mlp_sample_weight_with_early_stopping; and with weights that tell samples apart."""
    X, y = DATA[kind]
    parameters = {"early_stopping": True, "tol": 0.01, "learning_rate_init": 0.01, "batch_size": 10}
    without, _ = both((10,), **parameters)
    ones, _ = both((10,), **parameters)
    without.fit(X, y)
    ones.fit(X, y, sample_weight=np.ones(len(X)))
    assert_allclose(ones.predict_proba(X), without.predict_proba(X), rtol=1e-8)
    weights = np.random.default_rng(0).uniform(0.1, 2, len(X))
    ours, theirs = (model.fit(X, y, sample_weight=weights) for model in both((10,), **parameters))
    assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-12)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-8)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("patience", [1, 5, 20])
@pytest.mark.parametrize("tol", [0.5, 0.01])
def test_training_ends_once_patience_does(tol, patience):
    """test_tolerance and test_n_iter_no_change: read off the losses themselves."""
    X, y = DATA["binary"]
    rules = {"tol": tol, "n_iter_no_change": patience, "max_iter": 3000}
    ours, theirs = both((4,), solver="sgd", learning_rate_init=0.1, **rules)
    best, waited = np.inf, [0]
    for loss in ours.fit(X, y).loss_curve_:
        waited.append(waited[-1] + 1 if loss > best - tol else 0)
        best = min(best, loss)
    assert waited[-1] == patience + 1 > max(waited[:-1])
    assert ours.n_iter_ == theirs.fit(X, y).n_iter_ < 3000


def test_endless_patience():
    """test_n_iter_no_change_inf: no epoch improves by enough, and none is spared."""
    X, y = DATA["binary"]
    model = SigmoidMLPClassifier(
        (4,), solver="sgd", tol=1e9, n_iter_no_change=np.inf, max_iter=500, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(500\) reached"):
        model.fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 500


@pytest.mark.parametrize("early_stopping", [False, True])
def test_divergence_ends_training_with_finite_weights(early_stopping):
    """test_mlp_diverging_loss: no error; unlike there, no score is NaN.

    The penalty alone multiplies the weights by some -1e58 in an epoch: too long a step.
    """
    X, y = DATA["binary"]
    lengths = {"alpha": 1, "learning_rate_init": 1e60, "momentum": 0, "solver": "sgd"}
    rules = {"early_stopping": early_stopping, "n_iter_no_change": np.inf, "random_state": 0}
    model = SigmoidMLPClassifier((), max_iter=50, **lengths, **rules)
    with pytest.warns(ConvergenceWarning, match="Training diverged"):
        model.fit(X, y)
    assert 1 <= model.n_iter_ == len(model.loss_curve_) < 10
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.predict_proba(X)).all()
    if early_stopping:
        assert len(model.validation_scores_) == model.n_iter_
        assert np.isfinite(model.validation_scores_).all()
    shorter = SigmoidMLPClassifier((), max_iter=model.n_iter_, **lengths, **rules).fit(X, y)
    assert_array_equal(model.coefs_[0], shorter.coefs_[0])


def test_verbose_descent_prints_what_scikit_learn_prints(capsys):
    """test_verbose_sgd: epochs of fit, then the one of partial_fit."""
    X, y = DATA["binary"]
    printed = []
    for model in both((2,), solver="sgd", max_iter=2, verbose=10):
        model.fit(X, y)
        model.partial_fit(X, y)
        printed.append(without_notices(capsys.readouterr().out))
    assert printed[0] == printed[1]
    assert printed[0].count("Iteration") == 3
