"""Where kernels are compiled: not where a signal is heard, and not without memory."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastnet.kernels import _compile


class Compiler:
    """Stands for a dispatcher, and compiles when it is told to."""

    def __init__(self):
        self.go, self.done = threading.Event(), threading.Event()
        self.threads = []

    def compile(self, sig):
        self.threads.append(threading.current_thread())
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


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals as POSIX has them")
def test_a_signal_is_heard_at_once_and_stops_nothing(compiler):
    def alarmed(number, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, alarmed)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(TimeoutError):
            compiler.compile("types")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not compiler.done.is_set()
    compiler.go.set()
    assert compiler.done.wait(60)


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
