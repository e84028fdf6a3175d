"""Estimators that are pickled, copied and cloned: what they hold, and that they go on."""

import copy
import pickle
from itertools import chain, pairwise
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone

from fastnet import SigmoidMLPClassifier, __version__, _base

from .._support.parity import data

# Most tests ask for a number of epochs and get it.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# What a pickle has beside weights and solver state: parameters, records, names.
REST = 8_000
# Numbers of state that a weight has.
STATES = {
    "adam": ({"solver": "adam"}, 2),
    "momentum": ({"solver": "sgd"}, 1),
    "plain": ({"solver": "sgd", "momentum": 0.0}, 0),
    "rprop": ({"solver": "rprop"}, 2),
}
PATHS = {
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "oldest protocol": lambda model, _: pickle.loads(pickle.dumps(model, protocol=2)),
    "joblib": lambda model, folder: reloaded(model, folder),
    "mapped": lambda model, folder: reloaded(model, folder, mmap_mode="r"),
    "compressed": lambda model, folder: reloaded(model, folder, compress=3),
    "deepcopy": lambda model, _: copy.deepcopy(model),
}
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
solvers = pytest.mark.parametrize(("parameters", "n_states"), STATES.values(), ids=STATES)
paths = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)


def reloaded(model: Any, folder: Any, mmap_mode: str | None = None, compress: int = 0) -> Any:
    """Return what joblib makes of an estimator; no file that may be mapped is overwritten."""
    path = folder / f"{len(list(folder.iterdir()))}.joblib"
    joblib.dump(model, path, compress=compress)
    return joblib.load(path, mmap_mode=mmap_mode)


def wide(dtype: Any = np.float64, **parameters: Any) -> SigmoidMLPClassifier:
    """Return an estimator of 300 units for 9 features, whose weights outweigh the rest."""
    return SigmoidMLPClassifier((300, 40), max_iter=2, random_state=0, **parameters)


def weights_of(model: Any) -> list[Any]:
    return list(chain(model.coefs_, model.intercepts_))


def sizes(model: Any, folder: Any) -> list[int]:
    """Return how long its pickle and its joblib file are."""
    joblib.dump(model, folder / "model.joblib")
    return [len(pickle.dumps(model)), (folder / "model.joblib").stat().st_size]


@dtypes
@solvers
def test_weights_are_written_once_and_states_only_to_go_on(dtype, parameters, n_states, tmp_path):
    X, y = data("multiclass", dtype)
    model = wide(**parameters).fit(X, y)
    weights = sum(w.nbytes for w in weights_of(model))
    assert weights > 5 * REST
    for written in sizes(model, tmp_path):
        assert weights < written < weights + REST
    warm = wide(warm_start=True, **parameters).fit(X, y)
    for goes_on in (model.partial_fit(X, y), warm):
        for written in sizes(goes_on, tmp_path):
            assert (1 + n_states) * weights < written < (1 + n_states) * weights + REST
    # The last call counts.
    for written in sizes(model.fit(X, y), tmp_path):
        assert weights < written < weights + REST


def test_what_only_training_needs_is_not_written(tmp_path):
    X, y = data("binary", np.float64)
    plain = wide(solver="lbfgs").fit(X, y)
    stopped = wide(early_stopping=True).fit(X, y, X_val=np.tile(X, (50, 1)), y_val=np.tile(y, 50))
    weights = sum(w.nbytes for w in weights_of(plain))
    for model in (plain, stopped, SigmoidMLPClassifier.from_sklearn(plain.to_sklearn())):
        for written in sizes(model, tmp_path):
            assert written < weights + REST
    assert len(pickle.dumps(SigmoidMLPClassifier())) < REST


@dtypes
@paths
@pytest.mark.parametrize("hidden", [(), (5,), (300, 128)], ids=str)
def test_a_copy_has_the_same_bits_in_one_vector(dtype, path, hidden, tmp_path):
    X, y = data("multiclass", dtype)
    model = SigmoidMLPClassifier(hidden, max_iter=2, random_state=0).fit(X, y)
    again = path(model, tmp_path)
    base = again.coefs_[0].base
    assert base.ndim == 1
    assert base.flags.writeable
    # A large network is predicted with where it is.
    assert type(base) is np.ndarray
    for own, other in zip(weights_of(again), weights_of(model), strict=True):
        assert own.base is base
        assert own.dtype == dtype
        assert_array_equal(own, other)
        assert not np.shares_memory(own, other)
    for method in ("predict", "predict_proba", "decision_function", "input_gradients"):
        assert_array_equal(getattr(again, method)(X), getattr(model, method)(X))
    assert again.get_params() == model.get_params()
    assert vars(again).keys() == vars(model).keys()
    assert again.loss_curve_ == model.loss_curve_


@paths
@pytest.mark.filterwarnings("ignore:Training goes on with a fresh state of the solver")
def test_changes_of_a_copy_are_its_own(path, tmp_path):
    X, y = data("binary", np.float64)
    model = SigmoidMLPClassifier((5,), max_iter=2, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    again = path(model, tmp_path)
    again.coefs_[0][:] = 0.0
    again.loss_curve_.append(0.0)
    again.partial_fit(X, y)
    assert_array_equal(model.predict_proba(X), before)
    assert len(model.loss_curve_) == 2


@paths
@solvers
@pytest.mark.parametrize("dtype", [np.float32])
def test_training_goes_on_exactly(dtype, parameters, n_states, path, tmp_path):
    """After a call of partial_fit, or a warm fit, a copy takes the steps of the original."""
    X, y = data("multiclass", dtype)
    parameters = {"hidden_layer_sizes": (6,), "shuffle": False, "random_state": 0, **parameters}
    model = SigmoidMLPClassifier(**parameters)
    at_once = SigmoidMLPClassifier(max_iter=4, **parameters).fit(X, y)
    warm = SigmoidMLPClassifier(max_iter=2, warm_start=True, **parameters).fit(X, y)
    warm = path(warm, tmp_path).fit(X, y)
    for _ in range(4):
        model = path(model, tmp_path).partial_fit(X, y, classes=np.unique(y))
    for other in (model, warm):
        assert other.loss_curve_ == at_once.loss_curve_
        for one, another in zip(weights_of(other), weights_of(at_once), strict=True):
            assert_array_equal(one, another)


@paths
@pytest.mark.filterwarnings("ignore:Training goes on with a fresh state of the solver")
def test_a_network_without_intercepts(path, tmp_path):
    X, y = data("binary", np.float64)
    model = SigmoidMLPClassifier((5,), fit_intercept=False, max_iter=2, random_state=0).fit(X, y)
    again = path(model, tmp_path)
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert not any(np.any(biases) for biases in again.intercepts_)
    again.partial_fit(X, y)
    assert not any(np.any(biases) for biases in again.intercepts_)


def test_another_version_says_so(monkeypatch):
    X, y = data("binary", np.float64)
    model = SigmoidMLPClassifier((5,), max_iter=2, random_state=0).fit(X, y)
    with monkeypatch.context() as patch:
        patch.setattr(_base, "__version__", "0.0.1.old")
        written = pickle.dumps(model)
    message = f"SigmoidMLPClassifier was pickled by fastnet 0.0.1.old and is read by {__version__}"
    with pytest.warns(UserWarning, match=message) as caught:
        again = pickle.loads(written)
    assert len(caught) == 1
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    # Now it is of this version, and no warning is an error here.
    pickle.loads(pickle.dumps(again))
    state = model.__getstate__()
    assert state.pop("_fastnet_version") == __version__
    with pytest.warns(UserWarning, match="by fastnet of unknown version and is read by"):
        SigmoidMLPClassifier().__setstate__(state)
    assert "_fastnet_version" not in vars(model) | vars(again)


def test_writing_and_reading_change_neither_the_estimator_nor_the_state():
    X, y = data("binary", np.float64)
    model = SigmoidMLPClassifier((5,), max_iter=2, random_state=0).fit(X, y)
    before = dict(vars(model))
    state = model.__getstate__()
    kept = dict(state)
    SigmoidMLPClassifier().__setstate__(state)
    assert vars(model) == before
    assert state == kept
    # The state of the solver is left out of the pickle only: training in place goes on.
    assert model._solver_state is not None


def test_a_clone_is_not_fitted():
    X, y = data("binary", np.float64)
    weights = {0: 1.0, 1: 2.0}
    model = SigmoidMLPClassifier((5,), max_iter=2, random_state=0, class_weight=weights).fit(X, y)
    for again in (clone(model), clone(pickle.loads(pickle.dumps(model)))):
        assert again.get_params() == model.get_params()
        assert not [name for name in vars(again) if name.endswith("_")]
        assert_array_equal(again.fit(X, y).coefs_[0], model.coefs_[0])
    unfitted = pickle.loads(pickle.dumps(SigmoidMLPClassifier((5,))))
    assert vars(unfitted) == vars(SigmoidMLPClassifier((5,)))


def test_layers_follow_one_another_in_the_vector():
    """What holds the weights holds nothing else."""
    X, y = data("multiclass", np.float64)
    model = SigmoidMLPClassifier((300, 40), max_iter=1, random_state=0).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    layers = zip(again.coefs_, again.intercepts_, strict=True)
    starts = [weights.ctypes.data for layer in layers for weights in layer]
    assert all(a < b for a, b in pairwise(starts))
    assert again.coefs_[0].base.nbytes <= sum(w.nbytes for w in weights_of(again)) + 128
