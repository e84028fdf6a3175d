"""What becomes of fastnet in children of os.fork: the first scenarios of processes.py.

A scenario is a function that returns "same bits", or what it saw instead.
"""

import functools
import hashlib
import os
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Client, Listener

import numpy as np
from numba.core.compiler_lock import global_compiler_lock

from fastnet import _show_versions, kernels
from fastnet._engine import dispatch

from .._support.estimators import stopping_soon

# A child that has not ended by then never will; its first fit may have to compile.
DEADLINE = 120


def use_threads_at_once():
    """Let this process not wait until the work pays for them."""
    dispatch.MIN_CALL_WORK = dispatch.MIN_SHARED_WORK = 0
    dispatch.BLOCK_WORK = 10_000


def samples(dtype=np.float32):
    X = np.random.default_rng(0).normal(size=(1100, 40)).astype(dtype)
    return X, X[:, :3] @ [1, 2, 3] > 0


unfitted = partial(stopping_soon, batch_size=200)


def digest(dtype=np.float32, n_jobs=None):
    """Return a digest of what the kernels of fits and predictions compute."""
    use_threads_at_once()
    X, y = samples(dtype)
    result = hashlib.sha256()
    for hidden in ((32,), (150, 200)):
        model = unfitted(hidden, n_jobs=n_jobs).fit(X, y)
        for array in (*model.coefs_, *model.intercepts_, model.predict_proba(X)):
            result.update(array.tobytes())
    return result.hexdigest()


@functools.cache
def expected(dtype=np.float32):
    """Return the digest of one thread, which starts no others."""
    return digest(dtype, n_jobs=1)


def compared(*digests, dtype=np.float32):
    return "same bits" if set(digests) == {expected(dtype)} else f"other bits: {digests}"


def compute():
    return compared(digest())


def only(outcomes):
    """Return what all outcomes are."""
    outcomes = set(outcomes)
    return outcomes.pop() if len(outcomes) == 1 else str(outcomes)


def in_threads(function, count=4):
    with ThreadPoolExecutor(count) as pool:
        return only(pool.map(lambda _: function(), range(count)))


def has_helpers():
    """Return whether helpers were started, in this very process."""
    return bool(dispatch._helpers._all)


def compute_with_helpers():
    """Compute, and see to it that there are helpers, but no more than may be."""
    outcome = compute()
    n_helpers = len(dispatch._helpers._all)
    assert 0 < n_helpers < dispatch.available_threads(), n_helpers
    return outcome


class Child:
    """A forked child that performs a task, which returns a string."""

    def __init__(self, task, deadline=DEADLINE):
        self._readable, writable = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            outcome = "is left without an outcome"
            try:
                outcome = task()
            except BaseException:
                outcome = traceback.format_exc()
            finally:
                os.write(writable, outcome.encode())
                os._exit(0)
        os.close(writable)
        self._last = time.monotonic() + deadline

    def outcome(self, signum=0):
        """Return what the task returned, or how the child ended instead; signal it until then.

        Once is not enough: Python sees no signal that comes just before a call that blocks.
        """
        while (ended := os.waitpid(self.pid, os.WNOHANG)) == (0, 0):
            if time.monotonic() > self._last:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return "hangs"
            os.kill(self.pid, signum)
            time.sleep(0.002)
        code = os.waitstatus_to_exitcode(ended[1])
        if code < 0:
            return f"dies of {signal.Signals(-code).name}"
        with os.fdopen(self._readable) as readable:
            return readable.read()


def forked(task, deadline=DEADLINE):
    return Child(task, deadline).outcome()


def child_before_any_threads():
    """Let a child start helpers of its own; to its child it is a parent with helpers."""
    # To be inherited: from here on, all are compared with what this process computed.
    expected()
    assert not has_helpers()

    def task():
        return only([compute_with_helpers(), child(), compute()])

    return forked(task)


def child_on_one_core():
    """Move a child to one core, where the parent knows of more and has no helpers."""
    assert not has_helpers()
    assert dispatch.effective_n_threads(None) > 1

    def task():
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
        outcome = compute()
        assert not has_helpers()
        return outcome

    return forked(task)


def parent():
    return compute_with_helpers()


def child():
    def task():
        # The parent's are not here.
        assert not has_helpers()
        return compute_with_helpers()

    return forked(task)


def child_of_a_call():
    """Fork while a helper works on a call of this process, which then waits for it."""
    outcomes, may_fork, serve = [], [], kernels.forward.serial

    def serial(*args):
        if args[-1] == 1 and may_fork:
            may_fork.clear()
            outcomes.append(child())
        serve(*args)

    X, y = samples()
    model = unfitted().fit(X, y)
    expected = model.predict_proba(X)
    kernel, kernels.forward = kernels.forward, kernels.Kernel(serial, None)
    try:
        # The first call of a kernel is not shared.
        assert np.array_equal(model.predict_proba(X), expected)
        may_fork.append(True)
        assert np.array_equal(model.predict_proba(X), expected)
    finally:
        kernels.forward = kernel
    return only(outcomes)


def with_sigterm_handler(task):
    """Perform a task in a child that handles SIGTERM, as the workers of servers do."""

    def handling():
        received = []
        signal.signal(signal.SIGTERM, lambda *_: received.append("SIGTERM"))
        return " after ".join([task(), *received])

    return forked(handling)


def child_with_sigterm_handler():
    return with_sigterm_handler(compute)


def grandchild():
    return forked(child)


def threads_of_a_grandchild():
    return forked(lambda: only([compute(), forked(lambda: in_threads(compute))]))


def child_of_a_thread():
    return in_threads(lambda: only([compute(), child(), compute()]), 1)


def load_and_compute():
    """Compute also what no process here computes but children that return from this."""
    return only([compared(digest(np.float64), dtype=np.float64), compute()])


def child_while_a_thread_compiles():
    """Fork while another thread has the lock without which no kernel is compiled or loaded."""
    compiling = threading.Event()

    def thread():
        with global_compiler_lock:
            compiling.set()
            time.sleep(0.3)

    with ThreadPoolExecutor(1) as pool:
        thread_ends = pool.submit(thread)
        compiling.wait()
        outcome = forked(load_and_compute)
        thread_ends.result()
    return outcome


def children_while_threads(repeat, task):
    """Fork children for a task while other threads of this process repeat something."""
    done = threading.Event()
    running = threading.Barrier(4)

    def thread():
        repeat()
        running.wait(DEADLINE)
        while not done.is_set():
            repeat()

    with ThreadPoolExecutor(3) as pool:
        threads = [pool.submit(thread) for _ in range(3)]
        try:
            running.wait(DEADLINE)
            children = [Child(task) for _ in range(5)]
            outcomes = [child.outcome() for child in children]
        finally:
            done.set()
        for future in threads:
            future.result()
    return only(outcomes)


def children_while_threads_compute():
    def fit_and_predict():
        assert compute() == "same bits"

    return children_while_threads(fit_and_predict, compute)


def children_while_threads_look_for_kernels():
    """Fork while other threads ask what is cached, and LLVM for what processor."""

    def look():
        kernels.cache_state()
        _show_versions._processor()

    return children_while_threads(look, load_and_compute)


def preforking_server():
    """Load a model, fork workers that share a socket, stop them by SIGTERM, as gunicorn does."""
    X, y = samples()
    model = unfitted().fit(X, y)
    answer = model.predict_proba(X)

    def stop(*_):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit()

    def serve():
        signal.signal(signal.SIGTERM, stop)
        try:
            while True:
                with listener.accept() as connection:
                    connection.send(os.getpid())
                    connection.send(model.predict_proba(connection.recv()))
        except SystemExit:
            return "stops in order"

    with Listener() as listener:
        workers = [Child(serve) for _ in range(2)]
        clients = [Client(listener.address) for _ in workers]
        # No worker accepts another connection before it has answered.
        assert {receive(client) for client in clients} == {worker.pid for worker in workers}
        for client in clients:
            client.send(X)
        answers = [receive(client) for client in clients]
        ends = only(worker.outcome(signal.SIGTERM) for worker in workers)
    assert ends == "stops in order", ends
    return "same bits" if all(np.array_equal(a, answer) for a in answers) else "other bits"


def receive(connection):
    assert connection.poll(DEADLINE)
    return connection.recv()
