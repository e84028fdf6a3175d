"""Training goes on exactly where it stopped, and with the parameters as they are now."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

import fastnet
from fastnet import SigmoidMLPClassifier

from .._support.parity import data

# Most tests ask for a number of epochs and get it.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.thorough,
]

N_EPOCHS = 7

PATIENT = {"n_iter_no_change": np.inf}
# Learning rates are divided by 5 within the epochs.
ADAPTIVE = {"learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.05}
INVSCALING = {"learning_rate": "invscaling", "power_t": 0.3} | PATIENT
MOMENTUM = {"momentum": 0.9, "nesterovs_momentum": False}
SOLVERS = {
    "plain": {"solver": "sgd", "momentum": 0} | PATIENT,
    "plain, invscaling": {"solver": "sgd", "momentum": 0} | INVSCALING,
    "plain, adaptive": {"solver": "sgd", "momentum": 0} | ADAPTIVE,
    "momentum": {"solver": "sgd"} | MOMENTUM | PATIENT,
    "momentum, invscaling": {"solver": "sgd"} | MOMENTUM | INVSCALING,
    "nesterov": {"solver": "sgd"} | PATIENT,
    "nesterov, adaptive": {"solver": "sgd"} | ADAPTIVE,
    "adam": {"solver": "adam"} | PATIENT,
    "adam, clipped": {"solver": "adam", "max_grad_norm": 0.01} | PATIENT,
    "rprop": {"solver": "rprop", "learning_rate_init": 0.01} | PATIENT,
}
RESUMED = [name for name in SOLVERS if not name.startswith("plain")]


def estimator(name, **parameters):
    """Return an estimator that sees samples in one order only."""
    shared = {"learning_rate_init": 0.03, "shuffle": False, "random_state": 3}
    shared["hidden_layer_sizes"] = (9,)
    return SigmoidMLPClassifier(**shared | SOLVERS[name] | parameters)


def pickled(model):
    """Return a model as it is in another process."""
    return pickle.loads(pickle.dumps(model))


def assert_same_state(model, expected):
    """Assert that two models are equal to the bit, but for the epochs of the last call."""
    for name in ("coefs_", "intercepts_"):
        for array, other in zip(getattr(model, name), getattr(expected, name), strict=True):
            assert array.dtype == other.dtype
            assert_array_equal(array, other)
    assert model.loss_curve_ == expected.loss_curve_
    assert model.loss_ == expected.loss_
    assert model.best_loss_ == expected.best_loss_
    assert model.t_ == expected.t_


@pytest.fixture(params=["whole", "weighted"])
def weights(request):
    if request.param == "whole":
        return None
    weights = np.random.default_rng(4).uniform(0.2, 4.0, 150)
    weights[20:30] = 0
    return weights


@pytest.fixture(params=[(1, 8), (1, 64), (2, 64)], ids="{0[0]} threads, batches of {0[1]}".format)
def shape(request):
    """Return parameters that decide which kernel trains, and in how many threads."""
    n_jobs, batch_size = request.param
    return {"n_jobs": n_jobs, "batch_size": batch_size}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SOLVERS)
def test_all_ways_to_a_number_of_epochs(name, dtype, shape, weights):
    X, y = data("multiclass", dtype, 150)
    expected = estimator(name, max_iter=N_EPOCHS, **shape).fit(X, y, weights)
    assert expected.n_iter_ == N_EPOCHS
    one_by_one, reloaded = estimator(name, **shape), estimator(name, **shape)
    for _ in range(N_EPOCHS):
        one_by_one.partial_fit(X, y, weights, classes=np.unique(y))
        reloaded = pickled(reloaded).partial_fit(X, y, weights, classes=np.unique(y))
    assert_same_state(one_by_one, expected)
    assert_same_state(reloaded, expected)
    for first in (1, 4):
        warm = estimator(name, max_iter=first, warm_start=True, **shape).fit(X, y, weights)
        loaded = pickled(warm)
        for model in (warm, loaded):
            model.set_params(max_iter=N_EPOCHS - first).fit(X, y, weights)
            assert model.n_iter_ == N_EPOCHS - first
            assert_same_state(model, expected)


@pytest.mark.parametrize("name", SOLVERS)
def test_kinds_of_calls_can_be_mixed(name):
    X, y = data("binary", np.float64, 150)
    expected = estimator(name, max_iter=6).fit(X, y)
    model = estimator(name, max_iter=2).fit(X, y)
    model.set_params(warm_start=True).fit(X, y)
    model = pickled(model.partial_fit(X, y).set_params(warm_start=False))
    assert_same_state(model.partial_fit(X, y), expected)


@pytest.mark.parametrize("name", ["plain, adaptive", "nesterov, adaptive"])
def test_the_adaptive_rate_did_fall(name):
    """So that the tests above are of a state that changes."""
    X, y = data("multiclass", np.float64, 150)
    constant = estimator(name, max_iter=N_EPOCHS, learning_rate="constant", **PATIENT)
    adaptive = estimator(name, max_iter=N_EPOCHS).fit(X, y)
    assert adaptive.loss_curve_ != constant.fit(X, y).loss_curve_


def test_a_stopping_rule_counts_on():
    """After the first epoch nothing counts as an improvement, whoever trains."""
    X, y = data("binary", np.float64, 150)
    rules = {"tol": 10.0, "n_iter_no_change": 3, "max_iter": 50}
    expected = estimator("adam", **rules | {"n_iter_no_change": 2}).fit(X, y)
    assert expected.n_iter_ == 4
    model = estimator("adam", **rules)
    for _ in range(4):
        model.partial_fit(X, y, classes=[0, 1])
    assert_same_state(model, expected)
    model.set_params(warm_start=True).fit(X, y)
    assert model.n_iter_ == 1


OPTIMIZERS = {
    "sgd": lambda params, rate: SGDOptimizer(params, rate, momentum=0),
    "momentum": lambda params, rate: SGDOptimizer(params, rate, nesterov=False),
    "nesterov": lambda params, rate: SGDOptimizer(params, rate),
    "invscaling": lambda params, rate: SGDOptimizer(params, rate, "invscaling"),
    "adam": lambda params, rate: AdamOptimizer(params, rate),
}
PARAMETERS = {
    "sgd": {"solver": "sgd", "momentum": 0},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False},
    "nesterov": {"solver": "sgd"},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "adam": {"solver": "adam"},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("calls", ["partial_fit", "fit"])
def test_a_changed_learning_rate_takes_effect(name, calls):
    """Without hidden layers the gradient is X' (p - y) / n; the steps are scikit-learn's."""
    X, y = data("binary", np.float64, 60)
    model = SigmoidMLPClassifier(
        (), alpha=0, max_iter=1, warm_start=True, random_state=0, **PARAMETERS[name]
    )
    draw, bound = np.random.RandomState(0), np.sqrt(2 / (X.shape[1] + 1))
    coef, intercept = draw.uniform(-bound, bound, (X.shape[1], 1)), draw.uniform(-bound, bound, 1)
    optimizer = OPTIMIZERS[name]([coef, intercept], 0.1)
    for epoch, rate in enumerate([0.1, 0.1, 0.7, 0.02, 0.02]):
        model.set_params(learning_rate_init=rate)
        if calls == "fit":
            model.fit(X, y)
        else:
            model.partial_fit(X, y, classes=[0, 1])
        optimizer.learning_rate *= rate / optimizer.learning_rate_init
        optimizer.learning_rate_init = rate
        delta = (expit(X @ coef + intercept) - y[:, np.newaxis]) / len(X)
        optimizer.update_params([coef, intercept], [X.T @ delta, delta.sum(axis=0)])
        optimizer.iteration_ends(60 * (epoch + 1))
        assert_allclose(model.coefs_[0], coef, rtol=1e-9, atol=1e-12)
        assert_allclose(model.intercepts_[0], intercept, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["plain", "momentum", "adam"])
def test_other_parameters_take_effect(name):
    """All at once, from given weights: by a model of these parameters that starts there."""
    X, y = data("multiclass", np.float64, 150)
    model = estimator(name).fit(X, y)
    changed = {"solver": "sgd", "momentum": 0, "alpha": 0.5, "batch_size": 40}
    changed |= {"learning_rate_init": 0.2, "max_grad_norm": 0.3}
    fresh = estimator("plain", max_iter=1, **changed)
    fresh.fit(X, y, coefs_init=model.coefs_, intercepts_init=model.intercepts_)
    model.set_params(**changed).partial_fit(X, y)
    assert_array_equal(model.coefs_[0], fresh.coefs_[0])
    assert model.loss_ == fresh.loss_


# Large enough for its weights to be most of a pickle, on a kernel that is compiled already.
LARGE = {"hidden_layer_sizes": (300, 100), "batch_size": 8, "n_jobs": 1}


def weight_bytes(model):
    return sum(array.nbytes for array in (*model.coefs_, *model.intercepts_))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", SOLVERS)
def test_a_pickle_of_a_plain_fit_is_its_weights(name, dtype):
    X, y = data("multiclass", dtype, 60)
    model = estimator(name, max_iter=3, **LARGE).fit(X, y)
    assert weight_bytes(model) <= len(pickle.dumps(model)) <= weight_bytes(model) + 3_000
    assert_array_equal(pickled(model).predict_proba(X), model.predict_proba(X))


def saved(model, folder):
    """Return a model that was in a file."""
    fastnet.save(model, folder / "model.npz")
    return fastnet.load(folder / "model.npz")


# How a model leaves the process, and how it comes back.
WAYS = {
    "pickled": lambda model, _: pickled(model),
    "pickled twice": lambda model, _: pickled(pickled(model)),
    "copied": lambda model, _: copy.deepcopy(model),
    "saved": saved,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("name", RESUMED)
def test_a_loaded_plain_fit_starts_its_solver_afresh_and_says_so(name, way, tmp_path):
    X, y = data("multiclass", np.float64, 150)
    model = estimator(name, max_iter=3).fit(X, y)
    loaded = way(model, tmp_path)
    with pytest.warns(UserWarning, match="a fresh state of the solver '.*warm_start=True") as said:
        loaded.partial_fit(X, y)
    assert len(said) == 1
    assert said[0].filename == __file__
    fresh = estimator(name, max_iter=1)
    fresh.fit(X, y, coefs_init=model.coefs_, intercepts_init=model.intercepts_)
    assert_array_equal(loaded.coefs_[0], fresh.coefs_[0])
    assert loaded.loss_curve_ == [*model.loss_curve_, fresh.loss_]
    assert loaded.t_ == 4 * 150
    # The model in memory has kept its state, which makes another step.
    assert (model.partial_fit(X, y).coefs_[0] != fresh.coefs_[0]).any()
    # Nothing is lost a second time.
    assert_same_state(way(loaded, tmp_path).partial_fit(X, y), loaded.partial_fit(X, y))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("name", sorted(SOLVERS.keys() - set(RESUMED)))
def test_a_loaded_plain_fit_goes_on_where_there_is_no_state_to_lose(name, way, tmp_path):
    X, y = data("multiclass", np.float64, 150)
    model = estimator(name, max_iter=3).fit(X, y)
    loaded = way(model, tmp_path).partial_fit(X, y)
    assert_same_state(loaded, model.partial_fit(X, y))


def test_another_solver_has_lost_nothing():
    X, y = data("multiclass", np.float64, 150)
    model = estimator("adam", max_iter=3).fit(X, y)
    parameters = {"solver": "sgd", "warm_start": True}
    loaded = pickled(model).set_params(**parameters).fit(X, y)
    assert_same_state(loaded, model.set_params(**parameters).fit(X, y))


@pytest.mark.parametrize(
    ("name", "n_states"), [("plain", 0), ("nesterov", 1), ("adam", 2), ("rprop", 2)]
)
def test_a_pickle_to_go_on_from_holds_the_state_once(name, n_states):
    X, y = data("multiclass", np.float64, 60)
    model = estimator(name, **LARGE)
    model.partial_fit(X, y, classes=np.unique(y))
    n_bytes = (1 + n_states) * weight_bytes(model)
    assert n_bytes <= len(pickle.dumps(model)) <= 1.02 * n_bytes + 3_000
