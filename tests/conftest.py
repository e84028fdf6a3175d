"""What all tests share."""

import numpy as np
import pytest

from fastnet._engine import dispatch


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave float64 out of `make test-fast` where the source is the same for both dtypes."""
    for item in items:
        if "float64" in item.name and item.path.parent.name in ("kernels", "engine"):
            item.add_marker("thorough")


@pytest.fixture(autouse=True)
def shared_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads share the work of tests, which is small, too."""
    monkeypatch.setattr(dispatch, "MIN_CALL_WORK", 0)
    monkeypatch.setattr(dispatch, "MIN_SHARED_WORK", 0)
    monkeypatch.setattr(dispatch, "BLOCK_WORK", 10_000)


@pytest.fixture(autouse=True)
def same_numbers_each_time() -> None:
    """Seed what estimators without a `random_state` draw from."""
    np.random.seed(0)  # noqa: NPY002
