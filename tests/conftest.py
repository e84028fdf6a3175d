"""What all tests share."""

import pytest

from fastnet import _dispatch


@pytest.fixture(autouse=True)
def parallel_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for seconds of work until it sees the parallel form of a kernel."""
    monkeypatch.setattr(_dispatch, "PATIENCE_SECONDS", 0.0)
