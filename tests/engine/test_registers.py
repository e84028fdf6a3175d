"""A small network's own kernel: compiled beside long training, and never waited for."""

import threading
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor, kernels
from fastnet._engine import registers

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 2))
y = rng.integers(0, 2, 90)
PLAIN: dict[str, Any] = {
    "hidden_layer_sizes": (2,), "solver": "sgd", "momentum": 0.0, "batch_size": 1, "max_iter": 9,
    "random_state": 0, "learning_rate_init": 0.1,
}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """Forget all kernels before a test."""
    plans: dict[Any, Any] = {}
    monkeypatch.setattr(registers, "_candidates", plans)
    return plans


def compiled(plans: dict[Any, Any]) -> Any:
    """Return what became of the one kernel that was compiled."""
    registers.wait()
    (plan,) = plans.values()
    return plan


def bits(model: Any) -> list[bytes]:
    return [array.tobytes() for array in (*model.coefs_, *model.intercepts_)]


@pytest.mark.parametrize("kind", [SigmoidMLPClassifier, SigmoidMLPRegressor])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fit_has_the_same_bits_with_it(
    kind: Any, dtype: Any, forgotten: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kind(**PLAIN).fit(X.astype(dtype), y)
    (plan,) = forgotten.values()
    assert plan.n_samples == 9 * 90
    assert plan.thread is None
    monkeypatch.setattr(registers, "MANY_SAMPLES", 1)
    kind(**PLAIN).fit(X.astype(dtype), y)
    assert compiled(forgotten).kernel is not None
    monkeypatch.setattr(kernels, "train_rows", None)
    with_it = kind(**PLAIN).fit(X.astype(dtype), y)
    assert bits(with_it) == bits(before)
    assert with_it.loss_curve_ == before.loss_curve_


def test_diverging_fit_ends_as_without(
    forgotten: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit() -> tuple[list[bytes], list[float]]:
        model = SigmoidMLPRegressor(**PLAIN | {"learning_rate_init": 2.0})
        with pytest.warns(ConvergenceWarning, match="Training diverged in epoch 3"):
            model.fit(X.astype(np.float32), y)
        return bits(model), model.loss_curve_

    without = fit()
    monkeypatch.setattr(registers, "MANY_SAMPLES", 1)
    fit()
    assert compiled(forgotten).kernel is not None
    assert fit() == without


def test_training_goes_on_where_it_cannot_be_compiled(
    forgotten: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = SigmoidMLPClassifier(**PLAIN).fit(X, y)
    monkeypatch.setattr(registers, "MANY_SAMPLES", 1)

    def refuse(*args: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(kernels, "descent_kernel", refuse)
    SigmoidMLPClassifier(**PLAIN).fit(X, y)
    plan = compiled(forgotten)
    assert plan.has_failed
    again = SigmoidMLPClassifier(**PLAIN).fit(X, y)
    assert bits(again) == bits(before)
    # Nobody tries twice.
    assert compiled(forgotten).thread is plan.thread


def test_training_goes_on_where_no_thread_can_be_started(
    forgotten: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = SigmoidMLPClassifier(**PLAIN).fit(X, y)
    monkeypatch.setattr(registers, "MANY_SAMPLES", 1)

    def refuse(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    again = SigmoidMLPClassifier(**PLAIN).fit(X, y)
    assert bits(again) == bits(before)
    (plan,) = forgotten.values()
    assert plan.thread is plan.kernel is None


@pytest.mark.parametrize(
    "changed",
    [
        {"batch_size": 2},
        {"momentum": 0.9},
        {"solver": "adam"},
        {"max_grad_norm": 1.0},
        {"hidden_layer_sizes": (9,)},
    ],
    ids=str,
)
def test_other_training_has_none(changed: dict[str, Any], forgotten: dict[Any, Any]) -> None:
    SigmoidMLPClassifier(**PLAIN | changed).fit(X, y)
    assert not forgotten


def test_weighted_samples_have_none(forgotten: dict[Any, Any]) -> None:
    SigmoidMLPClassifier(**PLAIN).fit(X, y, sample_weight=rng.uniform(size=90))
    assert not forgotten
