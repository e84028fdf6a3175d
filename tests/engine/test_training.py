"""Epochs that go together in one call: what a fit comes to is as with a call for each."""

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor, kernels
from fastnet._engine.trainer import Trainer
from fastnet._engine.training import Training

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 4))
y = rng.integers(0, 3, 90)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FITS: dict[str, dict[str, Any]] = {
    "max_iter": {"max_iter": 37},
    "tol": {"max_iter": 500, "tol": 1e-2, "n_iter_no_change": 5},
    "never": {"max_iter": 60, "n_iter_no_change": np.inf},
    "at once": {"max_iter": 60, "tol": 10.0, "n_iter_no_change": 1},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "max_iter": 90, "tol": 1e-2,
                 "n_iter_no_change": 2},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "max_iter": 15},
    "in order": {"shuffle": False, "max_iter": 30},
    "rprop": {"solver": "rprop", "max_iter": 30},
    "rows": {"batch_size": 1, "max_iter": 15},
    "batches": {"hidden_layer_sizes": (40, 30), "batch_size": 16, "max_iter": 15},
    "validation": {"early_stopping": True, "max_iter": 30},
    "verbose": {"verbose": True, "max_iter": 30},
}  # fmt: skip


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each call's number of epochs is added."""
    counts: list[int] = []
    epochs = Trainer.epochs

    def counted(self: Trainer, orders: Any) -> list[float]:
        counts.append(len(orders))
        return epochs(self, orders)

    monkeypatch.setattr(Trainer, "epochs", counted)
    return counts


def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Training, "_may_go_together", lambda self, shuffle: False)


def everything(model: Any) -> dict[str, Any]:
    """Return what can be seen of a fit."""
    arrays = [*model.coefs_, *model.intercepts_]
    return {
        "bits": [array.tobytes() for array in arrays],
        "curve": model.loss_curve_,
        "n_iter": model.n_iter_,
        "t": model.t_,
        "best": model.best_loss_,
        "draws": model.random_state.randint(1000) if hasattr(model.random_state, "randint") else 0,
    }


@pytest.mark.parametrize("name", FITS)
def test_same_fit(
    name: str, calls: list[int], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def fit() -> tuple[Any, ...]:
        options = {"hidden_layer_sizes": (5,), **FITS[name]}
        model = SigmoidMLPClassifier(random_state=np.random.RandomState(3), **options).fit(X, y)
        first = everything(model)
        # Training goes on from there.
        model.set_params(warm_start=True, max_iter=12).fit(X, y)
        return first, everything(model), capsys.readouterr().out

    together = fit()
    assert (max(calls) > 1) == (name not in ("invscaling", "validation", "verbose"))
    one_by_one(monkeypatch)
    calls.clear()
    assert fit() == together
    assert set(calls) == {1}


def test_regressors_too(calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def fit() -> dict[str, Any]:
        return everything(SigmoidMLPRegressor(random_state=0, max_iter=40).fit(X, y.astype(float)))

    together = fit()
    assert max(calls) > 1
    one_by_one(monkeypatch)
    assert fit() == together


def test_a_call_goes_no_further_than_training_is_sure_to_go(calls: list[int]) -> None:
    model = SigmoidMLPClassifier((5,), tol=1e9, n_iter_no_change=7, random_state=0).fit(X, y)
    # The first loss is better than none; then seven are no better, and the eighth ends it.
    assert calls == [8, 1]
    assert model.n_iter_ == 9


def test_divergence_ends_where_it_ends_one_by_one(
    calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit() -> dict[str, Any]:
        # The penalty multiplies every weight by -9, in each of 9 steps an epoch.
        model = SigmoidMLPClassifier(
            (5,), solver="sgd", momentum=0.0, alpha=1e3, learning_rate_init=0.1, batch_size=10,
            n_iter_no_change=90, max_iter=100, random_state=np.random.RandomState(3),
        )  # fmt: skip
        with pytest.warns(ConvergenceWarning, match="finite"):
            model.fit(X, y)
        return everything(model)

    together = fit()
    assert 10 < together["n_iter"] < 30 < max(calls)
    one_by_one(monkeypatch)
    assert fit() == together


def test_large_data_go_epoch_by_epoch(calls: list[int]) -> None:
    many = np.zeros((40_000, 1), np.float32)
    SigmoidMLPClassifier((1,), max_iter=3).fit(many, np.arange(40_000) % 2)
    assert calls == [1, 1, 1]


def test_ctrl_c_keeps_the_epochs_before_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    epochs = Trainer.epochs
    lengths = []

    def interrupted(self: Trainer, orders: Any) -> list[float]:
        lengths.append(len(orders))
        losses = epochs(self, orders)
        if len(lengths) == 3:
            raise KeyboardInterrupt
        return losses

    monkeypatch.setattr(Trainer, "epochs", interrupted)
    model = SigmoidMLPClassifier((5,), max_iter=200, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(X, y)
    n_epochs = sum(lengths[:2])
    assert model.n_iter_ == n_epochs
    monkeypatch.undo()
    expected = SigmoidMLPClassifier((5,), max_iter=n_epochs, random_state=0).fit(X, y)
    assert_array_equal(model.coefs_[0], expected.coefs_[0])
    assert model.loss_curve_ == expected.loss_curve_


def test_shuffles_are_those_of_one_after_the_other() -> None:
    _, key, position, *_ = np.random.RandomState(4).get_state()
    orders = np.tile(np.arange(700), (3, 1))
    kernels.shuffle(orders, np.empty(64, np.int64), key, position)
    state = np.random.RandomState(4)
    order = np.arange(700)
    for shuffled in orders:
        state.shuffle(order)
        assert_array_equal(shuffled, order)
