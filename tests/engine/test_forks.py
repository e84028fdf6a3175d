"""A fork waits until no other thread compiles; nothing is locked after it, and no Ctrl-C lost."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastnet import kernels
from fastnet._engine import forks

from .._support.workers import call_in_threads

pytestmark = pytest.mark.processes

every_lock = pytest.mark.parametrize("lock", kernels.COMPILER_LOCKS, ids=["compiler", "LLVM"])


def assert_free(lock):
    assert not lock._is_owned()
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(lock.acquire, timeout=1).result()
        executor.submit(lock.release).result()


@every_lock
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_fork_waits_for_the_compiler_whatever_signals_come(lock, error, monkeypatch):
    taken, heard, interrupted = threading.Event(), threading.Event(), threading.Event()

    class Struck:
        """A lock where a signal comes while one waits for it."""

        def __init__(self):
            self._is_owned, self.release = lock._is_owned, lock.release

        def acquire(self):
            if not heard.is_set():
                heard.set()
                raise error
            lock.acquire()

    def compiling():
        with lock:
            taken.set()
            assert heard.wait(60)

    monkeypatch.setattr(forks, "COMPILER_LOCKS", (Struck(),))
    monkeypatch.setattr(forks._thread, "interrupt_main", interrupted.set)
    thread = threading.Thread(target=compiling)
    thread.start()
    assert taken.wait(60)
    forks.take_locks()
    assert lock._is_owned()
    forks.return_locks_and_interrupt()
    thread.join(60)
    assert_free(lock)
    assert interrupted.wait(0.5) == (error is KeyboardInterrupt)
    assert not forks._forking.is_interrupted


def test_two_threads_fork_at_once():
    errors = []

    def fork():
        for _ in range(2000):
            forks.take_locks()
            try:
                forks.return_locks()
            except RuntimeError as error:
                errors.append(error)

    call_in_threads([fork, fork, fork])
    assert errors == []
    for lock in kernels.COMPILER_LOCKS:
        assert_free(lock)


def test_the_handler_of_a_signal_forks_while_its_thread_does():
    forks.take_locks()
    forks.take_locks()
    forks.return_locks()
    assert all(lock._is_owned() for lock in kernels.COMPILER_LOCKS)
    forks.return_locks()
    for lock in kernels.COMPILER_LOCKS:
        assert_free(lock)


def test_a_lock_that_was_taken_is_returned_whatever_was_raised_then(monkeypatch):
    def interrupted(lock):
        lock.acquire()
        raise KeyboardInterrupt

    monkeypatch.setattr(forks, "_take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        forks.take_locks()
    forks.return_locks()
    for lock in kernels.COMPILER_LOCKS:
        assert_free(lock)


# Forks while another thread compiles for a second, and is interrupted meanwhile.
INTERRUPTED = """
import os, signal, threading, time
from fastnet import kernels

# What a shell starts in the background ignores it, and so do its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
lock = kernels.COMPILER_LOCKS[0]

def compile():
    with lock:
        taken.set()
        time.sleep(1)

taken = threading.Event()
threading.Thread(target=compile).start()
taken.wait()
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    child = os.fork()
    if child == 0:
        is_free = lock.acquire(timeout=5)
        # The child was not interrupted, so its own forks are not either.
        if os.fork() == 0:
            os._exit(0)
        time.sleep(0.5)
        os._exit(not is_free)
    time.sleep(5)
    print("never")
except KeyboardInterrupt:
    if child == 0:
        os._exit(2)
    print("interrupted, child:", os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(forks.os, "fork"), reason="there is no fork")
def test_ctrl_c_while_a_fork_waits_is_heard_after_it():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", INTERRUPTED],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("interrupted, child: 0\n", "")
