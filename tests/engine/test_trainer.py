"""Which mini-batches are trained on as rows, and which in panels."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastnet import SigmoidMLPClassifier, kernels

from ..reference import DTYPES

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 5))
y = rng.integers(0, 3, 60)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fit(dtype: Any, batch_size: int, hidden: tuple[int, ...] = (7,)) -> Any:
    model = SigmoidMLPClassifier(hidden, batch_size=batch_size, max_iter=3, random_state=0)
    return model.fit(X.astype(dtype), y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", [(), (7,), (40,), (20, 20)])
def test_few_samples_are_rows(
    dtype: Any, hidden: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    train_rows = kernels.train_rows

    def counted(*args: Any) -> int:
        calls.append(args)
        return int(train_rows(*args))

    monkeypatch.setattr(kernels, "train_rows", counted)
    width = kernels.panel_lanes(dtype)
    least = kernels.min_panel_batch(kernels.plan_network((5, *hidden, 3), True, width), dtype)
    fit(dtype, least - 1, hidden)
    assert calls
    calls.clear()
    fit(dtype, least, hidden)
    assert not calls


@pytest.mark.parametrize("batch_size", [1, 8, 25])
def test_both_ways_agree(batch_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    models = []
    for least in (1, 100):
        monkeypatch.setattr(kernels, "min_panel_batch", lambda plan, dtype, least=least: least)
        models.append(fit(np.float64, batch_size))
    panels, rows = models
    for a, b in zip(
        panels.coefs_ + panels.intercepts_, rows.coefs_ + rows.intercepts_, strict=True
    ):
        assert_allclose(a, b, rtol=1e-9)
    assert_allclose(panels.loss_curve_, rows.loss_curve_, rtol=1e-12)
