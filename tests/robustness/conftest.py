"""What tests of refused input share."""

from typing import Any

import pytest

from .._support.refusals import fitted_pairs, record_launches


@pytest.fixture(scope="module")
def pairs() -> Any:
    """Return estimators of both libraries, new and fitted; not to be changed."""
    return fitted_pairs()


@pytest.fixture
def launched(pairs: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a list to which each launch of a kernel is added, fits of `pairs` aside."""
    return record_launches(monkeypatch)
