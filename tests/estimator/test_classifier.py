"""What the estimator promises, apart from giving scikit-learn's model."""

import pickle
import warnings
from itertools import chain

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit, log_expit
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPClassifier

from .._support.parity import without_notices

SMALL = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def binary():
    X, y = make_classification(80, 6, random_state=0)
    return X, y


@pytest.fixture
def multiclass():
    return make_classification(120, 8, n_informative=6, n_classes=3, random_state=0)


@pytest.fixture
def multilabel():
    return make_multilabel_classification(90, 7, n_classes=3, random_state=0)


def fit(model, X, y, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, **kwargs)


def attributes(model):
    """Everything that a fit sets, to be compared before and after."""
    return {name: pickle.dumps(value) for name, value in vars(model).items()}


def test_parameters_and_defaults_are_mlpclassifiers():
    ours = SigmoidMLPClassifier().get_params()
    theirs = MLPClassifier(activation="logistic").get_params()
    assert {name: ours[name] for name in theirs} == theirs
    own = {"loss", "fit_intercept", "init", "class_weight", "scoring", "max_grad_norm", "n_jobs"}
    assert ours.keys() - theirs.keys() == own


def test_fitted_attributes_are_mlpclassifiers(binary):
    ours = fit(SigmoidMLPClassifier(**SMALL), *binary)
    theirs = fit(MLPClassifier(activation="logistic", **SMALL), *binary)

    def public(model):
        return {name for name in vars(model) if name.endswith("_") and not name.startswith("_")}

    assert public(ours) - public(theirs) == {"validation_loss_curve_"}
    assert public(theirs) <= public(ours)


def test_digits_in_a_pipeline_with_grid_search():
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    pipeline = make_pipeline(
        StandardScaler(), SigmoidMLPClassifier((32,), max_iter=200, tol=1e-2, random_state=0)
    )
    grid = {"sigmoidmlpclassifier__learning_rate_init": [0.001, 0.03]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_params_ == {"sigmoidmlpclassifier__learning_rate_init": 0.03}
    assert search.score(X_test, y_test) > 0.95


def test_the_decision_function_is_the_log_odds(binary, multiclass, multilabel):
    for X, y in (binary, multiclass, multilabel):
        model = fit(SigmoidMLPClassifier(**SMALL), X, y)
        z = model.decision_function(X)
        if z.ndim == 1:
            assert z.shape == (len(X),)
            expected = np.column_stack([1 - expit(z), expit(z)])
        else:
            expected = expit(z)
        np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)
        np.testing.assert_allclose(model.predict_log_proba(X), np.log(expected), rtol=1e-10)


def test_log_probabilities_are_finite_for_any_logit(binary, multiclass, multilabel):
    for X, y in (binary, multiclass, multilabel):
        model = fit(SigmoidMLPClassifier(**SMALL), X, y)
        model.coefs_[-1] = model.coefs_[-1] * 1e6
        z = model.decision_function(X)
        assert np.abs(z).max() > 1e4
        assert np.isfinite(z).all()
        log_p = model.predict_log_proba(X)
        assert np.isfinite(log_p).all()
        np.testing.assert_allclose(log_p[:, 1] if z.ndim == 1 else log_p, log_expit(z))


def test_squared_error_probabilities_sum_to_one(multiclass):
    X, y = multiclass
    model = fit(SigmoidMLPClassifier(loss="squared_error", **SMALL), X, y)
    assert model.out_activation_ == "logistic"
    p = model.activations(X)[-1]
    expected = p / p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(expected), rtol=1e-10)
    model.coefs_[-1] = np.full_like(model.coefs_[-1], -1e4)
    assert np.isfinite(model.predict_proba(X)).all()


def test_squared_error_is_the_mean_of_summed_squares(multiclass):
    X, y = multiclass
    model = fit(SigmoidMLPClassifier(loss="squared_error", **SMALL), X, y)
    difference = model.activations(X)[-1] - np.eye(3)[y]
    loss, *_ = model.loss_gradients(X, y)
    np.testing.assert_allclose(loss, (difference**2).sum(axis=1).mean(), rtol=1e-12)


def test_labels_keep_their_kind(binary):
    X, y = binary
    for labels in (np.array(["no", "yes"]), np.array([False, True]), np.array([-3, 7])):
        model = fit(SigmoidMLPClassifier(**SMALL), X, labels[y])
        np.testing.assert_array_equal(model.classes_, labels)
        predicted = model.predict(X)
        assert predicted.dtype == labels.dtype
        np.testing.assert_array_equal(predicted, labels[(model.decision_function(X) > 0) * 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_has_the_dtype_of_the_features(multiclass, dtype):
    X, y = multiclass
    X = X.astype(dtype)
    model = fit(SigmoidMLPClassifier(**SMALL), X, y)
    outputs = [model.predict_proba(X), model.predict_log_proba(X), model.decision_function(X)]
    _, *gradients = model.loss_gradients(X, y)
    for array in (
        *model.coefs_,
        *model.intercepts_,
        *outputs,
        *model.activations(X),
        *chain(*gradients),
    ):
        assert array.dtype == dtype
    assert model.decision_function(X.astype(np.float64)).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float16, np.int64, np.uint8, bool])
def test_other_dtypes_are_float64(binary, dtype):
    X, y = binary
    X = (4 * X).astype(dtype)
    model = fit(SigmoidMLPClassifier(**SMALL), X, y)
    assert model.coefs_[0].dtype == np.float64
    same = fit(SigmoidMLPClassifier(**SMALL), X.astype(np.float64), y)
    np.testing.assert_array_equal(model.coefs_[0], same.coefs_[0])


def test_layout_of_the_features_makes_no_difference(multiclass):
    X, y = multiclass
    expected = fit(SigmoidMLPClassifier(**SMALL), X, y)
    read_only = X.copy()
    read_only.flags.writeable = False
    wide = np.repeat(X, 2, axis=1)[:, ::2]
    unaligned = np.frombuffer(b"\0" + X.tobytes(), X.dtype, offset=1).reshape(X.shape)
    swapped = X.astype(">f8")
    for variant in (
        np.asfortranarray(X),
        read_only,
        wide,
        X[::-1].copy()[::-1],
        unaligned,
        swapped,
    ):
        model = fit(SigmoidMLPClassifier(**SMALL), variant, y)
        np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])
        np.testing.assert_array_equal(model.predict_proba(variant), expected.predict_proba(X))


def test_prediction_of_a_row_does_not_depend_on_the_others(multiclass):
    X, y = multiclass
    model = fit(SigmoidMLPClassifier((9, 5), max_iter=2, random_state=0), X, y)
    together = model.decision_function(X)
    alone = np.vstack([model.decision_function(row[None]) for row in X])
    np.testing.assert_array_equal(alone, together)
    np.testing.assert_array_equal(model.decision_function(X[5:77]), together[5:77])


def test_initial_weights_of_ones_own(binary):
    X, y = binary
    start = [np.full((6, 4), 0.1), np.full((4, 1), -0.2)], [np.zeros(4), np.ones(1)]
    model = SigmoidMLPClassifier((4,), solver="sgd", learning_rate_init=1e-300, max_iter=1)
    fit(model, X, y, coefs_init=start[0], intercepts_init=start[1])
    for fitted, given in zip(model.coefs_ + model.intercepts_, start[0] + start[1], strict=True):
        np.testing.assert_allclose(fitted, given, atol=1e-200)


def test_initial_weights_of_a_single_layer_may_be_an_array(binary):
    X, y = binary
    weights = np.full((1, 6, 1), 0.1)
    model = SigmoidMLPClassifier((), solver="sgd", learning_rate_init=1e-300, max_iter=1)
    fit(model, X, y, coefs_init=weights)
    np.testing.assert_allclose(model.coefs_[0], weights[0], atol=1e-200)


def test_initial_weights_leave_the_draws_alone(binary):
    """The order of the samples is that of the same seed without initial weights."""
    X, y = binary
    drawn = fit(SigmoidMLPClassifier(**SMALL), X, y)
    first = SigmoidMLPClassifier(**SMALL | {"solver": "sgd", "learning_rate_init": 1e-300})
    fit(first, X, y)
    given = fit(
        SigmoidMLPClassifier(**SMALL),
        X,
        y,
        coefs_init=first.coefs_,
        intercepts_init=first.intercepts_,
    )
    np.testing.assert_allclose(given.coefs_[0], drawn.coefs_[0], rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("coefs_init", [np.zeros((6, 4))]),
        ("coefs_init", [np.zeros((4, 6)), np.zeros((4, 1))]),
        ("intercepts_init", [np.zeros(3), np.zeros(1)]),
        ("coefs_init", [np.full((6, 4), np.nan), np.zeros((4, 1))]),
    ],
)
def test_bad_initial_weights(binary, name, value):
    with pytest.raises(ValueError, match=name.replace("_init", "")):
        SigmoidMLPClassifier(**SMALL).fit(*binary, **{name: value})


@pytest.mark.parametrize(
    "tamper",
    [
        lambda model: model.coefs_.__setitem__(0, np.zeros((5, 4))),
        lambda model: model.coefs_.__setitem__(1, np.zeros((3, 1))),
        lambda model: model.intercepts_.pop(),
        lambda model: model.intercepts_.__setitem__(0, np.zeros(9)),
        lambda model: setattr(model, "n_features_in_", 7),
    ],
)
def test_weights_of_wrong_shape_never_reach_a_kernel(binary, tamper):
    X, y = binary
    model = fit(SigmoidMLPClassifier(**SMALL), X, y)
    tamper(model)
    with pytest.raises(ValueError, match=r"coefs|intercepts|features"):
        model.predict(X)


def test_weights_of_other_dtypes_are_converted(binary):
    X, y = binary
    model = fit(SigmoidMLPClassifier(**SMALL), X, y)
    model.coefs_ = [np.ones((6, 4), int), [[1], [0], [1], [0]]]
    hidden = expit(X.sum(axis=1, keepdims=True) + model.intercepts_[0])
    expected = hidden[:, 0] + hidden[:, 2] + model.intercepts_[1]
    np.testing.assert_allclose(model.decision_function(X), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"activation": "relu"}, "activation"),
        ({"solver": "newton"}, "solver"),
        ({"class_weight": "even"}, "class_weight"),
        ({"scoring": "luck"}, "scoring"),
        ({"max_grad_norm": 0}, "max_grad_norm"),
        ({"loss": "hinge"}, "loss"),
        ({"init": "zeros"}, "init"),
        ({"n_jobs": 1.5}, "n_jobs"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes must be > 0"),
        ({"hidden_layer_sizes": -1}, "hidden_layer_sizes"),
        ({"alpha": -1}, "alpha"),
        ({"learning_rate_init": float("nan")}, "learning_rate_init"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_bad_parameters(binary, parameters, message):
    with pytest.raises(ValueError, match=message):
        SigmoidMLPClassifier(**parameters).fit(*binary)


def test_predicting_needs_a_fit(binary):
    X, y = binary
    model = SigmoidMLPClassifier()
    for method in (
        "predict",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
        "activations",
    ):
        with pytest.raises(NotFittedError):
            getattr(model, method)(X)
    with pytest.raises(NotFittedError):
        model.loss_gradients(X, y)


@pytest.mark.parametrize("kind", [np.asarray, np.asfortranarray, sparse.csr_array])
def test_activations_are_the_users_to_change(binary, kind):
    X, y = binary
    model = fit(SigmoidMLPClassifier(**SMALL), X, y)
    given = kind(X)
    first = model.activations(given)[0]
    pairs = [(first.data, given.data)] if sparse.issparse(given) else [(first, given)]
    assert not any(np.shares_memory(a, b) for a, b in pairs)


def test_a_failed_fit_changes_nothing(binary):
    X, y = binary
    model = fit(SigmoidMLPClassifier(**SMALL), X, y)
    before = attributes(model)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), y)
    model.set_params(hidden_layer_sizes=(), solver="sgd", learning_rate_init=1e300)
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(X * 1e300, y)
    model.set_params(**SMALL, solver="adam", learning_rate_init=0.001)
    with pytest.raises(ValueError, match="coefs"):
        model.fit(X[:, :3], y, coefs_init=[np.zeros((1, 1))])
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, np.where(y == 0, 5, y))
    assert attributes(model) == before


def test_divergence_is_an_error(binary):
    X, y = binary
    X = X.astype(np.float32) * np.float32(1e30)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        SigmoidMLPClassifier((), solver="sgd", learning_rate_init=1e30, random_state=0).fit(X, y)


def test_ctrl_c_keeps_the_last_complete_epoch(binary, monkeypatch):
    X, y = binary
    parameters = {"hidden_layer_sizes": (4,), "random_state": 0, "solver": "adam"}
    expected = fit(SigmoidMLPClassifier(max_iter=2, **parameters), X, y)

    from fastnet._engine import training

    calls = []
    train = training.Trainer.epochs

    def interrupted(trainer, orders):
        calls.append(None)
        losses = train(trainer, orders)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return losses

    monkeypatch.setattr(training.Trainer, "epochs", interrupted)
    # Of epochs that go together, `tests/engine/test_training.py` tells.
    monkeypatch.setattr(training.Training, "_may_go_together", lambda self, shuffle: False)
    model = SigmoidMLPClassifier(max_iter=9, **parameters)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, y)
    assert model.n_iter_ == 2
    assert model.loss_curve_ == expected.loss_curve_
    for kept, complete in zip(model.coefs_, expected.coefs_, strict=True):
        np.testing.assert_array_equal(kept, complete)
    np.testing.assert_array_equal(model._solver_state["state"], expected._solver_state["state"])


def test_batch_size_above_the_samples_is_clipped(binary):
    X, y = binary
    with pytest.warns(UserWarning, match="Got `batch_size`"):
        clipped = SigmoidMLPClassifier(batch_size=1000, tol=1e9, n_iter_no_change=1).fit(X, y)
    assert clipped.n_iter_ >= 1


def test_partial_fit_refuses_early_stopping(binary):
    model = SigmoidMLPClassifier(early_stopping=True)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        model.partial_fit(*binary, classes=[0, 1])
    assert not hasattr(model, "classes_")


def test_too_small_a_validation_set(binary):
    X, _ = binary
    with pytest.raises(ValueError, match="validation set is too small"):
        SigmoidMLPClassifier(early_stopping=True, validation_fraction=0.01).fit(
            X, np.arange(80) % 3
        )


def test_verbose_prints_what_scikit_learn_prints(binary, capsys):
    parameters = SMALL | {
        "verbose": True,
        "early_stopping": True,
        "tol": 1.0,
        "n_iter_no_change": 1,
    }
    SigmoidMLPClassifier(**parameters).fit(*binary)
    ours = without_notices(capsys.readouterr().out)
    MLPClassifier(activation="logistic", **parameters).fit(*binary)
    assert ours == capsys.readouterr().out
    assert "Validation score" in ours


@ignore_convergence
def test_clone_and_pickle(binary):
    X, y = binary
    model = SigmoidMLPClassifier(**SMALL, warm_start=True).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    again.partial_fit(X, y)
    model.partial_fit(X, y)
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])
    assert not hasattr(clone(model), "coefs_")


@ignore_convergence
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_and_feature_names(binary, library):
    frames = pytest.importorskip(library, reason=f"{library} is not installed")
    X, y = binary
    frame = frames.DataFrame(dict(zip("abcdef", X.T, strict=True)))
    model = SigmoidMLPClassifier(**SMALL).fit(frame, frames.Series(y))
    assert list(model.feature_names_in_) == list("abcdef")
    plain = SigmoidMLPClassifier(**SMALL).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(frame), plain.predict_proba(X))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[list("fedcba")])


def test_an_epsilon_below_float32_does_no_harm(binary):
    """In a layer of 128 units, whose rows are padded with parameters of no gradient."""
    X, y = binary
    tiny, plain = (
        fit(SigmoidMLPClassifier((128,), max_iter=3, random_state=0, epsilon=epsilon), X, y)
        for X, epsilon in ((X.astype(np.float32), 1e-60), (X.astype(np.float32), 1e-30))
    )
    assert np.isfinite(tiny.loss_)
    np.testing.assert_allclose(tiny.coefs_[0], plain.coefs_[0], rtol=1e-5, atol=1e-6)


def test_values_that_are_not_finite_are_refused_in_long_predictions(binary):
    X, y = binary
    model = fit(SigmoidMLPClassifier(**SMALL), X, y)
    for n_rows in (1, 5_000):
        bad = np.tile(X, (63, 1))[:n_rows].copy()
        bad[-1, 2] = np.inf
        for method in (model.predict, model.predict_proba, model.decision_function):
            with pytest.raises(ValueError, match="Input X contains infinity"):
                method(bad)
