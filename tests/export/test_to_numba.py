"""Functions for compiled code: the bits of `Predictor`, in loops, in threads, without Python."""

import gc
import sys
import textwrap
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.errors import NumbaWarning, TypingError
from numba.core.runtime import rtsys
from numba.core.runtime._nrt_python import memsys_enable_stats
from numpy.testing import assert_array_equal

from fastnet import Predictor
from fastnet.export import to_numba

from .._support.exports import KINDS, fitted, pipeline, rows

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
EXPORTED = [kind for kind in KINDS if kind != "squared error"]


@dtypes
@pytest.mark.parametrize("kind", EXPORTED)
def test_a_loop_has_the_bits_of_the_predictor(kind: str, dtype: str) -> None:
    model = fitted(kind, dtype)
    f, predictor = to_numba(model), Predictor(model)
    X = rows(dtype, 200)

    @numba.njit
    def predict(X: Any, P: Any) -> None:
        for i in range(len(X)):
            f(X[i], P[i])

    wanted = predictor(X).reshape(len(X), -1)
    P = np.full_like(wanted, np.nan)
    predict(X, P)
    assert_array_equal(P, wanted, strict=True)
    # From Python, and with an array of its own.
    assert_array_equal(f(X[3]), wanted[3], strict=True)


def test_in_threads_and_without_the_gil() -> None:
    f = to_numba(fitted("two hidden layers", "float32"))
    X = rows("float32", 5_000)

    @numba.njit(parallel=True, nogil=True)
    def predict(X: Any, P: Any) -> None:
        for i in numba.prange(len(X)):
            P[i] = f(X[i])

    P = np.full((len(X), 4), np.nan, "f4")
    predict(X, P)
    assert_array_equal(P, Predictor(fitted("two hidden layers", "float32"))(X), strict=True)


def test_rows_may_be_of_any_real_dtype_and_layout() -> None:
    model = fitted("several", "float32")
    f, predictor = to_numba(model), Predictor(model)
    X = rows("float64", 3)
    wanted = predictor(X[1])
    read_only = X[1].astype("f4")
    read_only.flags.writeable = False
    for x in (X[1], X[1].astype("f4"), np.asfortranarray(X)[1], X.T[:, 1], read_only):
        assert_array_equal(f(x), wanted, strict=True)
    assert_array_equal(f(np.arange(6)), predictor(np.arange(6)), strict=True)


def test_rows_of_another_length_are_refused() -> None:
    f = to_numba(fitted("several", "float32"))

    @numba.njit
    def call(x: Any, out: Any) -> Any:
        return f(x, out)

    x, out = np.zeros(6, "f4"), np.zeros(4, "f4")
    for bad in ((x[:5], out), (np.zeros(7, "f4"), out), (x, out[:3]), (x, np.zeros(5, "f4"))):
        for function in (f, call):
            with pytest.raises(ValueError, match=r"as many"):
                function(*bad)


def test_out_may_have_any_strides_but_one_axis_and_dtype() -> None:
    model = fitted("several", "float32")
    f = to_numba(model)
    x = rows("float32", 1)[0]
    wanted = Predictor(model)(x)
    around = np.full(16, 7.0, "f4")
    for out in (around[8:12], around[11:7:-1], around[1:9:2]):
        around[:] = 7
        assert f(x, out) is not None
        assert_array_equal(out, wanted)
        assert (around == 7).sum() == 12
    read_only = np.empty(4, "f4")
    read_only.flags.writeable = False
    for out in (read_only, np.empty(4), np.empty((1, 4), "f4")):
        with pytest.raises(TypingError):
            f(x, out)


def test_weights_are_copied_and_stay() -> None:
    model = pipeline("several", "float64")
    x = rows("float64", 1)[0]
    wanted = Predictor(model)(x)

    def make() -> Any:
        f = to_numba(model)

        @numba.njit
        def call(x: Any) -> Any:
            return f(x)

        return call

    call = make()
    assert_array_equal(call(x), wanted)
    gc.collect()
    numbers = [np.full(1000, np.nan) for _ in range(1000)]
    assert_array_equal(call(x), wanted)
    assert len(numbers) == 1000


def test_nothing_is_allocated_with_out() -> None:
    f = to_numba(fitted("several", "float32"))

    @numba.njit
    def call(X: Any, out: Any) -> Any:
        total = 0.0
        for i in range(len(X)):
            total += f(X[i], out)[0]
        return total

    X, out = rows("float32", 100), np.empty(4, "f4")
    call(X, out)
    memsys_enable_stats()

    def n_allocated(n_rows: int, *out: Any) -> int:
        before = rtsys.get_allocation_stats().alloc
        for x in X[:n_rows] if not out else [X[:n_rows]]:
            (call if out else f)(x, *out)
        return int(rtsys.get_allocation_stats().alloc - before)

    # A call from Python counts for its arguments, whatever the number of rows.
    assert n_allocated(100, out) == n_allocated(1, out)
    assert n_allocated(100) >= n_allocated(1) + 99


def test_probabilities_that_kernels_do_not_make_are_refused() -> None:
    with pytest.raises(ValueError, match="squared_error"):
        to_numba(fitted("squared error", "float32"))


def test_numba_does_not_keep_weights_in_its_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "users_module.py").write_text(
        textwrap.dedent("""
        import numba
        f = None
        def make(function):
            global f
            f = function
            @numba.njit(cache=True)
            def call(x):
                return f(x)
            return call
        """)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    import users_module  # type: ignore[import-not-found]

    x = rows("float64", 1)[0]
    for kind in ("several", "no biases"):
        model = fitted(kind, "float64")
        call = users_module.make(to_numba(model))
        with pytest.warns(NumbaWarning, match="dynamic globals"):
            assert_array_equal(call(x), Predictor(model)(x), strict=True)
    del sys.modules["users_module"]
    assert not list(tmp_path.rglob("*.nbc"))
