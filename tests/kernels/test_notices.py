"""What is said of kernels that are compiled: to Python's log, and by a verbose fit."""

import logging
from pathlib import Path
from typing import Any

import pytest

from fastnet import SigmoidMLPClassifier
from fastnet.kernels import _notices

from .._support.throwaway import CALL_FIRST, Package, call_first, cannot_be_written_to, importable

pytestmark = pytest.mark.processes

# Prints what the call of a kernel logs, before what it returns.
WITH_LOG = f"import logging, sys; logging.basicConfig(level='INFO', stream=sys.stdout){CALL_FIRST}"
X, Y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    return importable(tmp_path, monkeypatch)


def test_a_kernel_is_logged_where_it_is_compiled_and_not_where_it_is_loaded(
    package: Package,
) -> None:
    *line, _, _, _ = package.run(WITH_LOG)
    assert " ".join(line) == (
        "INFO:fastnet:fastnet compiles first for float64. That takes seconds, once, if it can"
        f" be kept in {package.file().parent}."
    )
    assert package.run(WITH_LOG) == ["2.0", "1", "0"]


def test_that_nothing_can_be_kept_is_logged(
    package: Package, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cannot_be_written_to(monkeypatch)
    with caplog.at_level(logging.INFO, "fastnet"):
        assert call_first(package)[0] == 2.0
    (record,) = caplog.records
    assert record.getMessage().endswith("no folder to keep it in.")


def test_nothing_is_printed_unless_asked_for(package: Package) -> None:
    assert package.run(CALL_FIRST) == ["2.0", "0", "1"]


def compiles(*_: Any) -> float:
    """Score a model; in its first epoch, something is compiled."""
    _notices.tell("fastnet compiles score.")
    return 0.0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("verbose", [False, True])
def test_a_verbose_fit_prints_it(verbose: bool, capsys: pytest.CaptureFixture[str]) -> None:
    model = SigmoidMLPClassifier((), verbose=verbose, scoring=compiles, max_iter=1, tol=1.0)
    model.set_params(n_iter_no_change=1, learning_rate_init=1.0)
    model.fit(X, Y, X_val=X, y_val=Y)
    assert ("fastnet compiles score.\n" in capsys.readouterr().out) == verbose
    _notices.tell("fastnet compiles something else.")
    assert capsys.readouterr().out == ""


def test_two_verbose_fits_at_once_print_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    with _notices.told_to(print), _notices.told_to(print):
        _notices.tell("once")
    assert capsys.readouterr().out == "once\n"
