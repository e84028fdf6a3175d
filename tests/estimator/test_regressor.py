"""SigmoidMLPRegressor: scikit-learn's own tests of MLPRegressor restated, and what is beyond it."""

import io
import pickle
import warnings
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import check_grad
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor, Ridge
from sklearn.metrics import mean_poisson_deviance, r2_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import scale

import fastnet
from fastnet import SigmoidMLPRegressor

# Most tests ask for a number of epochs and get it.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X_REG, Y_REG = make_regression(200, 10, bias=20.0, noise=100.0, random_state=7)
Y_REG = scale(Y_REG)
X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_DIGITS, Y_DIGITS = load_digits(n_class=3, return_X_y=True)
X_DIGITS = X_DIGITS / 16.0
LOSSES = ["squared_error", "poisson"]
every_loss = pytest.mark.parametrize("loss", LOSSES)


def regressor(hidden: Any = (8,), **parameters: Any) -> SigmoidMLPRegressor:
    return SigmoidMLPRegressor(hidden_layer_sizes=hidden, **{"random_state": 0} | parameters)


def targets(loss: str, n_outputs: int = 1) -> Any:
    """Return targets of a loss, one or several."""
    rng = np.random.default_rng(3)
    y = X_REG[:, :n_outputs] + 0.1 * rng.normal(size=(200, n_outputs))
    y = rng.poisson(np.exp(y)).astype(float) if loss == "poisson" else y
    return y if n_outputs > 1 else y.ravel()


# scikit-learn's own tests.


def test_lbfgs_regression() -> None:
    model = regressor(50, solver="lbfgs", max_iter=200, tol=1e-3, random_state=1)
    assert model.fit(X_REG, Y_REG).score(X_REG, Y_REG) > 0.98


def test_lbfgs_stops_at_max_fun() -> None:
    model = regressor(50, solver="lbfgs", tol=0.0, max_iter=150, max_fun=10)
    with pytest.warns(ConvergenceWarning):
        model.fit(X_REG, Y_REG)
    assert model.n_iter_ <= 10


def test_several_targets() -> None:
    X, y = make_regression(200, n_targets=5, random_state=11)
    model = regressor(50, solver="lbfgs", max_iter=200, tol=1e-2, random_state=1)
    assert model.fit(X, y).score(X, y) > 0.9
    assert model.n_outputs_ == 5


@pytest.mark.parametrize("momentum", [0, 0.9])
def test_partial_fit_is_fit(momentum: float) -> None:
    shared = {"solver": "sgd", "learning_rate_init": 0.01, "batch_size": 200, "momentum": momentum}
    fitted = regressor(100, max_iter=100, random_state=1, **shared).fit(X_REG, Y_REG)
    parts = regressor(100, random_state=1, **shared)
    for _ in range(fitted.n_iter_):
        parts.partial_fit(X_REG, Y_REG)
    assert_allclose(fitted.predict(X_REG), parts.predict(X_REG))


def test_there_is_no_partial_fit_with_lbfgs_or_early_stopping() -> None:
    assert not hasattr(regressor(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        regressor(early_stopping=True).partial_fit(X_REG, Y_REG)


def test_parameters_that_are_not_finite() -> None:
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        SigmoidMLPRegressor().fit(X_REG, 1e300 * Y_REG)


def test_shuffle() -> None:
    def coefs(shuffle: bool) -> Any:
        return regressor(1, max_iter=1, batch_size=1, shuffle=shuffle).fit(X_REG, Y_REG).coefs_[0]

    assert_array_equal(coefs(True), coefs(True))
    assert_array_equal(coefs(False), coefs(False))
    assert not np.array_equal(coefs(True), coefs(False))


def test_a_warm_start_does_all_iterations() -> None:
    model = regressor(2, solver="sgd", warm_start=True, max_iter=3)
    for _ in range(2):
        assert model.fit(X_IRIS, Y_IRIS).n_iter_ == 3


def test_float32_is_about_float64() -> None:
    models = {
        dtype: regressor((5, 3), alpha=1e-5, random_state=1, max_iter=150, tol=1e-3).fit(
            X_DIGITS[:300].astype(dtype), Y_DIGITS[:300]
        )
        for dtype in (np.float32, np.float64)
    }
    predictions = [model.predict(X_DIGITS[300:].astype(dt)) for dt, model in models.items()]
    assert_allclose(*predictions, rtol=5e-3, atol=5e-3)
    for dtype, model in models.items():
        assert {array.dtype for array in (*model.coefs_, *model.intercepts_)} == {np.dtype(dtype)}
        assert model.predict(X_DIGITS.astype(dtype)).dtype == dtype


@pytest.mark.filterwarnings("ignore:Training goes on with a fresh state of the solver")
def test_a_loaded_model_learns_anew(tmp_path: Any) -> None:
    model = regressor(42, random_state=42, learning_rate_init=0.01, max_iter=200).fit([[2]], [4])
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    for _ in range(300):
        loaded.partial_fit([[2]], [1])
    assert_allclose(loaded.predict([[2]]), [1], rtol=1e-3)


def test_names_of_features_survive_early_stopping() -> None:
    X = pd.DataFrame(np.random.RandomState(0).randn(10, 2), columns=["a", "b"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SigmoidMLPRegressor(early_stopping=True, validation_fraction=0.2)
        model.fit(X, pd.Series(np.full(10, 1)))
    assert model.feature_names_in_.tolist() == ["a", "b"]


def test_a_warm_start_with_early_stopping_adds_scores() -> None:
    model = regressor(max_iter=10, warm_start=True, early_stopping=True).fit(X_IRIS, Y_IRIS)
    n_before = len(model.validation_scores_)
    model.set_params(max_iter=20).fit(X_IRIS, Y_IRIS)
    assert len(model.validation_scores_) > n_before


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs", "rprop"])
def test_a_warm_start_ends_at_max_iter(solver: str) -> None:
    model = regressor(solver=solver, warm_start=True, n_iter_no_change=np.inf)
    for max_iter in (10, 20):
        model.set_params(max_iter=max_iter, tol=1e-30)
        with pytest.warns(ConvergenceWarning):
            model.fit(X_IRIS, Y_IRIS)
        assert model.n_iter_ == max_iter


def test_weights_of_one_are_none_with_early_stopping() -> None:
    X, y = make_regression(100, 2, n_informative=2, random_state=42)
    shared = {"early_stopping": True, "tol": 1e-2, "learning_rate_init": 0.01, "batch_size": 10}
    models = [regressor(10, random_state=42, **shared).fit(X, y, w) for w in (None, np.ones(100))]
    assert_allclose(models[0].predict(X), models[1].predict(X))


def test_poisson_without_hidden_layers_is_the_linear_model() -> None:
    rng = np.random.default_rng(0)
    X = np.linspace(0, 1, 100).reshape(-1, 1)
    y = rng.poisson(np.exp(X[:, 0] + 1))
    linear = PoissonRegressor(alpha=0, tol=1e-7).fit(X, y)
    model = regressor((), loss="poisson", alpha=0, solver="lbfgs", tol=1e-7).fit(X, y)
    assert_allclose(model.predict(X), linear.predict(X), rtol=1e-4)
    assert model.out_activation_ == "exp"


def test_a_validation_set_that_is_too_small() -> None:
    X, y = make_regression(n_samples=2, n_features=5, random_state=0)
    with pytest.raises(ValueError, match="The validation set is too small"):
        regressor(early_stopping=True).fit(X, y)


# What is beyond it, and what targets are.


def test_without_hidden_layers_it_is_ridge_regression() -> None:
    model = regressor((), solver="lbfgs", alpha=3.0, tol=1e-10, max_iter=1000).fit(X_REG, Y_REG)
    ridge = Ridge(alpha=3.0).fit(X_REG, Y_REG)
    assert_allclose(model.coefs_[0].ravel(), ridge.coef_, rtol=1e-4, atol=1e-6)


@every_loss
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_gradients_are_those_of_the_loss(loss: str, n_outputs: int) -> None:
    y = targets(loss, n_outputs)
    model = regressor((4,), loss=loss, max_iter=2).fit(X_REG, y)
    sizes = [array.size for array in (*model.coefs_, *model.intercepts_)]

    def of(params: Any) -> Any:
        parts = np.split(params, np.cumsum(sizes)[:-1])
        shaped = [p.reshape(a.shape) for p, a in zip(parts, arrays, strict=True)]
        return SigmoidMLPRegressor.from_weights(shaped[:2], shaped[2:], loss=loss)

    arrays = (*model.coefs_, *model.intercepts_)
    # The loss of several squared errors is their mean, and the gradient is of their sum.
    times = n_outputs if loss == "squared_error" else 1

    def value(params: Any) -> float:
        return float(of(params).loss_gradients(X_REG, y)[0] * times)

    def gradient(params: Any) -> Any:
        _, *gradients = of(params).loss_gradients(X_REG, y)
        return np.concatenate([g.ravel() for part in gradients for g in part])

    start = np.concatenate([array.ravel() for array in arrays])
    assert check_grad(value, gradient, start) < 1e-5 * max(1.0, np.linalg.norm(gradient(start)))
    means = [g.mean(axis=0) for g in model.sample_gradients(X_REG, y)[0]]
    for mean, expected in zip(means, model.loss_gradients(X_REG, y)[1], strict=True):
        assert_allclose(mean, expected, rtol=1e-9, atol=1e-12)


@every_loss
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_derivatives_by_features(loss: str, n_outputs: int) -> None:
    y = targets(loss, n_outputs)
    model = regressor((4,), loss=loss, max_iter=5, learning_rate_init=0.05).fit(X_REG, y)
    gradients = model.input_gradients(X_REG[:5])
    assert gradients.shape == (5, n_outputs, 10)
    for k in range(10):
        step = np.zeros(10)
        step[k] = 1e-6
        up, down = (model.predict(X_REG[:5] + s).reshape(5, -1) for s in (step, -step))
        assert_allclose(gradients[:, :, k], (up - down) / 2e-6, rtol=1e-5, atol=1e-8)


@every_loss
def test_few_rows_and_sparse_rows_have_the_bits_of_many(loss: str) -> None:
    X = np.where(X_REG > 0.5, X_REG, 0.0)
    model = regressor(loss=loss, max_iter=3).fit(X, targets(loss, 2))
    expected = model.predict(X)
    parts = [model.predict(X[i : i + 3]) for i in range(0, 200, 3)]
    assert_array_equal(np.concatenate(parts), expected)
    for kind in (sparse.csr_array, sparse.csc_array, sparse.coo_array):
        assert_array_equal(model.predict(kind(X)), expected)
    assert_array_equal(model.activations(X)[-1], expected)


@every_loss
def test_a_model_leaves_the_process_and_comes_back(loss: str) -> None:
    y = targets(loss, 3)
    model = regressor(loss=loss).partial_fit(X_REG, y)
    with io.BytesIO() as file:
        fastnet.save(model, file)
        file.seek(0)
        saved = fastnet.load(file)
    pickled = pickle.loads(pickle.dumps(model))
    for again in (saved, pickled):
        assert type(again) is SigmoidMLPRegressor
        assert again.get_params() == model.get_params()
        assert_array_equal(again.predict(X_REG), model.predict(X_REG))
    coefs = [m.partial_fit(X_REG, y).coefs_[0] for m in (model, saved, pickled)]
    assert_array_equal(coefs[0], coefs[1])
    assert_array_equal(coefs[0], coefs[2])


@every_loss
def test_to_scikit_learn_and_back(loss: str) -> None:
    model = regressor(loss=loss, max_iter=5).fit(X_REG, targets(loss))
    mlp = model.to_sklearn()
    assert type(mlp) is MLPRegressor
    assert_allclose(mlp.predict(X_REG), model.predict(X_REG), rtol=1e-10)
    again = SigmoidMLPRegressor.from_sklearn(mlp)
    assert_array_equal(again.predict(X_REG), model.predict(X_REG))
    assert again.loss_curve_ == model.loss_curve_
    with pytest.raises(TypeError, match="must be an MLPRegressor, got MLPClassifier"):
        SigmoidMLPRegressor.from_sklearn(MLPClassifier())
    with pytest.raises(ValueError, match="Only activation='logistic'"):
        SigmoidMLPRegressor.from_sklearn(MLPRegressor(hidden_layer_sizes=(3,)).fit(X_REG, Y_REG))


def test_weights_by_hand() -> None:
    model = SigmoidMLPRegressor.from_weights([[[2.0], [-1.0]]], [[0.5]])
    assert_array_equal(model.predict([[1, 1], [0, 2]]), [1.5, -1.5])
    model = SigmoidMLPRegressor.from_weights([[[1.0]]], [[0.0]], loss="poisson")
    assert_allclose(model.predict([[0], [2], [1000]]), [1, np.exp(2), np.inf], rtol=1e-15)
    with pytest.raises(TypeError, match="hidden_layer_sizes follows from coefs"):
        SigmoidMLPRegressor.from_weights([[[1.0]]], [[0.0]], hidden_layer_sizes=())


def test_validation_on_samples_of_ones_own() -> None:
    given = {"X_val": X_REG[150:], "y_val": Y_REG[150:]}
    shared = {"early_stopping": True, "max_iter": 30, "learning_rate_init": 0.01}
    model = regressor(**shared).fit(X_REG[:150], Y_REG[:150], **given)
    score = r2_score(Y_REG[150:], model.predict(X_REG[150:]))
    assert model.best_validation_score_ == pytest.approx(score, rel=1e-12)
    model = regressor(scoring="loss", **shared).fit(X_REG[:150], Y_REG[:150], **given)
    loss = 0.5 * np.mean((model.predict(X_REG[150:]) - Y_REG[150:]) ** 2)
    assert -model.best_validation_score_ == pytest.approx(loss, rel=1e-12)
    name = "neg_mean_absolute_error"
    model = regressor(scoring=name, **shared).fit(X_REG[:150], Y_REG[:150], **given)
    error = np.mean(np.abs(model.predict(X_REG[150:]) - Y_REG[150:]))
    assert -model.best_validation_score_ == pytest.approx(error, rel=1e-12)


def test_the_loss_is_half_the_deviance() -> None:
    y = targets("poisson")
    model = regressor((), loss="poisson", alpha=0.0, max_iter=3).fit(X_REG, y)
    loss, _, _ = model.loss_gradients(X_REG, y)
    deviance = mean_poisson_deviance(y, model.predict(X_REG))
    assert loss == pytest.approx(deviance / 2, rel=1e-12)


def test_outputs_that_hardly_moved_are_told() -> None:
    model = regressor(alpha=1e5, learning_rate_init=0.1)
    with pytest.warns(ConvergenceWarning, match="than the means of y.* lower alpha"):
        model.fit(X_REG, Y_REG)
    # One target that never varies is no sign.
    y = np.column_stack([Y_REG, np.ones(200)])
    with pytest.warns(ConvergenceWarning, match="than the means of y"):
        model.fit(X_REG, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        regressor(max_iter=50, learning_rate_init=0.01).fit(X_REG, Y_REG)
    assert not [w for w in caught if "hardly moved" in str(w.message)]


@every_loss
def test_a_long_gradient_is_clipped_to_the_limit(loss: str) -> None:
    start = regressor((4,), loss=loss).partial_fit(X_REG, targets(loss))
    arrays = [array.copy() for array in (*start.coefs_, *start.intercepts_)]
    # One step of plain descent, of length 1 times the gradient.
    model = regressor(
        (4,), loss=loss, solver="sgd", momentum=0.0, alpha=0.0, learning_rate_init=1.0,
        batch_size=200, max_grad_norm=0.01, max_iter=1,
    ).fit(
        X_REG, 1e6 * targets(loss), coefs_init=start.coefs_, intercepts_init=start.intercepts_
    )  # fmt: skip
    moved = zip((*model.coefs_, *model.intercepts_), arrays, strict=True)
    assert np.sqrt(sum(((a - b) ** 2).sum() for a, b in moved)) == pytest.approx(0.01, rel=1e-6)


@every_loss
@pytest.mark.parametrize("solver", ["adam", "sgd", "rprop"])
def test_epochs_one_by_one_are_the_epochs_of_a_fit(loss: str, solver: str) -> None:
    shared = {"loss": loss, "solver": solver, "shuffle": False, "learning_rate_init": 0.01}
    y = targets(loss, 2)
    at_once = regressor(max_iter=6, tol=0.0, **shared).fit(X_REG, y)
    parts = regressor(**shared)
    warm = regressor(max_iter=3, tol=0.0, warm_start=True, **shared)
    for _ in range(6):
        parts.partial_fit(X_REG, y)
    for _ in range(2):
        warm.fit(X_REG, y)
    for other in (parts, warm):
        for one, two in zip(at_once.coefs_, other.coefs_, strict=True):
            assert_array_equal(one, two)


@every_loss
def test_entries_train_as_dense_features_do(loss: str) -> None:
    X = np.where(X_REG > 0.5, X_REG, 0.0)
    dense, entries = (
        regressor(loss=loss, max_iter=3).fit(x, targets(loss)) for x in (X, sparse.csr_array(X))
    )
    assert_array_equal(dense.coefs_[0], entries.coefs_[0])


def test_lbfgs_with_samples_to_validate_on() -> None:
    given = {"X_val": X_REG[150:], "y_val": Y_REG[150:]}
    model = regressor(solver="lbfgs", max_iter=20).fit(X_REG[:150], Y_REG[:150], **given)
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_
    score = r2_score(Y_REG[150:], model.predict(X_REG[150:]))
    assert model.validation_scores_[-1] == pytest.approx(score, rel=1e-12)


def test_a_score_of_outputs_that_are_not_finite_is_nan() -> None:
    """As `test_mlp_diverging_loss` of scikit-learn."""
    model = regressor((), loss="poisson", early_stopping=True, max_iter=2, learning_rate_init=1e-6)
    model.fit(
        [[0.0], [0.1]], [1.0, 1.0], X_val=[[1e4], [2e4]], y_val=[1.0, 2.0],
        coefs_init=[[[1.0]]], intercepts_init=[[0.0]],
    )  # fmt: skip
    assert np.isnan(model.validation_scores_[-1])


@pytest.mark.filterwarnings("ignore:Training has hardly moved")
def test_a_target_that_is_always_0_has_a_deviance() -> None:
    y = targets("poisson", 2)
    y[:, 1] = 0.0
    model = regressor(loss="poisson", max_iter=3).fit(X_REG, y)
    assert np.isfinite(model.loss_)
    predicted = model.predict(X_REG)
    deviance = sum(mean_poisson_deviance(y[:, k], predicted[:, k]) for k in range(2))
    assert model.loss_gradients(X_REG, y)[0] == pytest.approx(deviance / 2, rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_subnormal_target_counts_as_none(dtype: Any) -> None:
    X, tiny = X_REG.astype(dtype), np.finfo(dtype).smallest_subnormal
    y = targets("poisson").astype(dtype)
    losses = []
    for least in (0.0, tiny):
        y[0] = least
        model = regressor(loss="poisson").partial_fit(X, y)
        losses.append(model.loss_gradients(X, y)[0])
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)


def test_the_outputs_of_a_network_stay_what_they_were_trained_to_be() -> None:
    mlp = MLPRegressor("poisson", (3,), activation="logistic", max_iter=3, random_state=0)
    mlp.fit(X_REG, targets("poisson")).set_params(loss="squared_error")
    model = SigmoidMLPRegressor.from_sklearn(mlp)
    assert_allclose(model.predict(X_REG), mlp.predict(X_REG), rtol=1e-12)
    with io.BytesIO() as file:
        fastnet.save(model, file)
        file.seek(0)
        assert_array_equal(fastnet.load(file).predict(X_REG), model.predict(X_REG))


def test_a_real_problem() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = regressor((8,), solver="lbfgs", alpha=10.0, max_iter=500)
    assert model.fit(scale(X), scale(y)).score(scale(X), scale(y)) > 0.5
