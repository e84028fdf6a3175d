"""Where kernels are compiled: not where a signal is heard, and not without memory."""

import os
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastnet.kernels import _compile, _processor


class Compiler:
    """Stands for a dispatcher, and compiles when it is told to."""

    def __init__(self):
        self.go, self.done = threading.Event(), threading.Event()
        self.threads = []
        self.begin = lambda: None

    def compile(self, sig):
        self.threads.append(threading.current_thread())
        self.begin()
        assert self.go.wait(60)
        self.done.set()
        return sig


@pytest.fixture(params=[False, True], ids=["serial", "parallel"])
def compiler(request):
    compiler = Compiler()
    _compile.compile_apart(compiler, parallel=request.param)
    return compiler


def test_not_in_the_main_thread(compiler):
    compiler.go.set()
    assert compiler.compile("types") == "types"
    assert threading.main_thread() not in compiler.threads


def test_in_a_thread_that_hears_no_signals_anyway(compiler):
    compiler.go.set()
    with ThreadPoolExecutor(1) as executor:
        here = executor.submit(threading.current_thread).result()
        assert executor.submit(compiler.compile, "types").result() == "types"
    assert compiler.threads == [here]


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="signals as POSIX has them")
def test_a_signal_is_heard_at_once_and_stops_nothing(compiler):
    def alarmed(number, frame):
        raise TimeoutError

    compiler.begin = lambda: os.kill(os.getpid(), signal.SIGALRM)
    before = signal.signal(signal.SIGALRM, alarmed)
    try:
        with pytest.raises(TimeoutError):
            compiler.compile("types")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not compiler.done.is_set()
    compiler.go.set()
    assert compiler.done.wait(60)


@pytest.mark.parametrize("lock", range(len(_compile.COMPILER_LOCKS)))
def test_here_where_the_other_thread_would_wait_for_a_lock_of_this_one(compiler, lock):
    compiler.go.set()
    with _compile.COMPILER_LOCKS[lock]:
        assert compiler.compile("types") == "types"
    assert compiler.threads == [threading.current_thread()]


def test_here_where_threads_have_small_stacks(compiler):
    compiler.go.set()
    before = threading.stack_size(256 * 1024)
    try:
        assert compiler.compile("types") == "types"
    finally:
        threading.stack_size(before)
    assert compiler.threads == [threading.current_thread()]


def test_here_where_no_thread_can_be_started(compiler, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    compiler.go.set()
    monkeypatch.setattr(threading.Thread, "start", start)
    assert compiler.compile("types") == "types"
    assert compiler.threads == [threading.current_thread()]


def test_an_error_reaches_the_caller(compiler, monkeypatch):
    monkeypatch.setattr(compiler.go, "wait", lambda timeout: False)
    with pytest.raises(AssertionError):
        compiler.compile("types")


def test_no_memory_is_an_error_before_anything_is_compiled(compiler, monkeypatch):
    compiler.go.set()
    monkeypatch.setattr(_compile, "_N_BYTES", np.iinfo(np.int64).max)
    with pytest.raises(MemoryError):
        compiler.compile("types")
    assert compiler.threads == []


@pytest.mark.parametrize(
    ("triple", "features", "is_slow"),
    [
        ("x86_64-unknown-linux-gnu", "+sse2,+avx,-fma", True),
        ("x86_64-unknown-linux-gnu", "", True),
        ("x86_64-unknown-linux-gnu", "+avx2,+fma", False),
        ("aarch64-unknown-linux-gnu", "", False),
    ],
)
def test_a_processor_without_fused_multiply_add_is_warned_of_once(
    triple, features, is_slow, monkeypatch
):
    monkeypatch.setattr(_processor, "_target", lambda: (triple, "some processor", features))
    _processor.warn_if_slow.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            compiler = Compiler()
            _compile.compile_apart(compiler, parallel=False)
            compiler.go.set()
            assert compiler.compile("types") == "types"
    assert [warning.category for warning in caught] == [RuntimeWarning] * is_slow
    assert all("some processor" in str(warning.message) for warning in caught)
