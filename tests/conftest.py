"""What all tests share."""

import numpy as np
import pytest

from fastnet import _dispatch


@pytest.fixture(autouse=True)
def parallel_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for seconds of work until it sees the parallel form of a kernel."""
    monkeypatch.setattr(_dispatch, "PATIENCE_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def same_numbers_each_time() -> None:
    """Seed what estimators without a `random_state` draw from."""
    np.random.seed(0)  # noqa: NPY002
