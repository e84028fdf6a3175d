"""Helpers: there when they are needed, asleep otherwise, and never waited for in vain.

What they do in other processes is in `test_processes`, and while Python threads compete for
them in `test_threads`.
"""

import _thread
import functools
import gc
import os
import subprocess
import threading
import time
import types
import warnings
import weakref
from pathlib import Path

import numpy as np
import pytest

from fastnet import SigmoidMLPClassifier, kernels
from fastnet._engine import dispatch, threads
from fastnet._engine.threads import Budget, Helpers, Job
from fastnet.kernels.claims import _BITS, _ONE_LAST, MOST_BLOCKS, TICKET

from .._support.budgets import DEADLINE
from .._support.programs import ROOT, program

pytestmark = pytest.mark.processes

N_CORES = 4

rng = np.random.default_rng(0)
X = rng.normal(size=(1100, 40)).astype(np.float32)
y = X[:, 0] > 0


@pytest.fixture
def helpers(monkeypatch):
    """Return helpers of which none was started, on a machine of four cores."""
    monkeypatch.setattr(dispatch, "_helpers", helpers := Helpers())
    monkeypatch.setattr(dispatch, "_budget", Budget(N_CORES))
    monkeypatch.setattr(dispatch, "_lasting_limit", lambda: N_CORES)
    monkeypatch.setattr(dispatch, "_n_affine", lambda: N_CORES)
    yield helpers
    helpers.end()


def fitted(n_jobs=N_CORES):
    """Return an estimator that has called its kernels more than once."""
    model = SigmoidMLPClassifier((32,), batch_size=300, max_iter=2, random_state=0, n_jobs=n_jobs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y).fit(X, y).predict(X)
    return model


@functools.cache
def expected():
    return fitted(n_jobs=1).predict_proba(X).tobytes()


def is_right():
    """Return whether a fit and a prediction give the bits of one thread."""
    return fitted().predict_proba(X).tobytes() == expected()


def until(condition):
    """Wait for what other threads bring about."""
    last = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < last
        time.sleep(0.001)


def are_asleep(helpers):
    """Wait until there are helpers, and all wait at queues with nothing in them."""
    queues = helpers._all.values()
    assert 0 < len(queues) < N_CORES
    until(lambda: len(helpers._idle) == len(queues) and all(queue.empty() for queue in queues))
    return True


@pytest.mark.parametrize(("n_jobs", "most"), [(None, 3), (-1, 3), (1, 0), (2, 1), (3, 2), (99, 3)])
def test_no_more_than_a_call_may_have(n_jobs, most, helpers, monkeypatch):
    """There may be fewer: one that is done before the last is asked for is asked again."""
    monkeypatch.setattr(dispatch.joblib, "effective_n_jobs", lambda n: n if n > 0 else N_CORES)
    model = fitted(n_jobs=1).set_params(n_jobs=n_jobs)
    for _ in range(20):
        assert model.predict_proba(X).tobytes() == expected()
        assert len(helpers._all) <= most
        assert most == 0 or are_asleep(helpers)


def test_none_where_there_is_one_core(helpers, monkeypatch):
    monkeypatch.setattr(dispatch, "_n_affine", lambda: 1)
    assert is_right()
    assert helpers._all == {}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the platform has no /proc")
def test_the_system_has_them_asleep(helpers):
    tasks = Path("/proc/self/task")
    before = set(tasks.iterdir())
    fitted()
    assert are_asleep(helpers)
    # What compiled kernels has ended, or is about to.
    until(lambda: len(set(tasks.iterdir()) - before) <= len(helpers._all))
    added = set(tasks.iterdir()) - before
    assert len(added) == len(helpers._all)

    def state(task):
        return (task / "stat").read_text().rpartition(")")[2].split()[0]

    until(lambda: all(state(task) == "S" for task in added))


def run(function, *flags, **environment):
    return subprocess.run(
        program("engine.helpers", function, flags=("-W", "error", *flags)),
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
    )


@pytest.mark.parametrize(
    "function",
    [
        "none_before_they_are_needed",
        "end_with_idle_helpers",
        "end_while_a_daemon_fits",
        "end_while_a_helper_works",
        "no_helper_holds_the_gil",
    ],
)
def test_in_a_process_of_its_own(function):
    done = run(function)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "as promised\n")


def test_a_job_is_begun_or_called_off_once():
    done = []
    job = Job(done.append, (1,))
    assert job.call_off()
    assert not job.call_off()
    job.run()
    assert done == []
    job = Job(done.append, (2,))
    job.run()
    job.run()
    assert not job.call_off()
    job.wait()
    assert done == [2]


def test_a_job_that_raises_ends(helpers):
    def fail():
        raise SystemExit

    for _ in range(2):
        job = helpers.hire(fail, (), 1)
        job.wait()
        assert are_asleep(helpers)


def test_what_a_job_was_given_is_freed(helpers):
    array = np.empty(3)
    reference = weakref.ref(array)
    for end in ("wait", "call_off"):
        job = helpers.hire(lambda x: None, (array,), 1)
        getattr(job, end)()
        assert are_asleep(helpers)
    del array, job
    gc.collect()
    assert reference() is None


def test_no_more_than_were_asked_for(helpers):
    may_end = threading.Event()
    jobs = [helpers.hire(may_end.wait, (DEADLINE,), 2) for _ in range(2)]
    # A helper may be about to be idle: it has a job, and one more waits for it.
    until(lambda: all(queue.empty() for queue in helpers._all.values()))
    waiting = [helpers.hire(may_end.wait, (DEADLINE,), 2) for _ in range(2)]
    assert helpers.hire(may_end.wait, (DEADLINE,), 2) is None
    assert len(helpers._all) == 2
    assert all(job.call_off() for job in waiting)
    may_end.set()
    for job in jobs:
        assert not job.call_off()
        job.wait()
    assert are_asleep(helpers)


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_where_no_thread_can_be_started_the_caller_does_it_all(error, helpers, monkeypatch):
    def start(function, args):
        raise error("can't start new thread")

    fake = types.SimpleNamespace(start_new_thread=start)
    monkeypatch.setattr(threads, "_thread", fake)
    assert is_right()
    assert helpers._all == helpers._idle == {}
    # And when one can be again, it is.
    monkeypatch.setattr(threads, "_thread", _thread)
    assert is_right()
    assert are_asleep(helpers)


def test_nobody_waits_for_helpers_that_do_not_run(helpers, monkeypatch):
    jobs = []

    def hire(function, args, most):
        jobs.append(Job(function, args))
        return jobs[-1]

    monkeypatch.setattr(helpers, "hire", hire)
    assert is_right()
    assert jobs != []
    assert not any(job.call_off() for job in jobs)


class LateHelper:
    """Claims a block of a prediction before the caller does, and is stopped in the middle."""

    def __init__(self):
        self.may_go = threading.Event()
        self.is_waited_for = threading.Event()
        self.blocks = []
        self.threads = []

    def hire(self, function, args, most):
        *arguments, claims, first, last = args
        # As worker 1 does; none is at work yet.
        block = ((claims[TICKET] >> _BITS) & MOST_BLOCKS) - 1
        claims[TICKET] -= _ONE_LAST
        self.blocks.append(block)

        def work():
            assert self.may_go.wait(2 * DEADLINE)
            own = kernels.new_claims()
            own[TICKET] = ((block + 1) << _BITS) | block
            function(*arguments, own, first, last)
            claims[kernels.DONE] += 1

        helper = self

        class WatchedJob(Job):
            def wait(self):
                helper.is_waited_for.set()
                super().wait()

        job = WatchedJob(work, ())
        begin, begun = job._work[0], threading.Event()
        job._work = [(lambda: (begun.set(), begin[0]()), ())]
        thread = threading.Thread(target=job.run, daemon=True)
        self.threads.append(thread)
        thread.start()
        assert begun.wait(DEADLINE)
        return job


@pytest.mark.parametrize("n_jobs", [2, 4])
@pytest.mark.parametrize("method", ["predict_proba", "input_gradients", "sample_gradients"])
def test_a_helper_that_is_stopped_in_a_block_is_waited_for(method, n_jobs, helpers, monkeypatch):
    model = fitted()
    rows = (X, y) if method == "sample_gradients" else (X,)
    one = getattr(model.set_params(n_jobs=1), method)(*rows)
    model.set_params(n_jobs=n_jobs)
    late = LateHelper()
    monkeypatch.setattr(helpers, "hire", late.hire)
    results = []
    caller = threading.Thread(
        target=lambda: results.append(getattr(model, method)(*rows)), daemon=True
    )
    caller.start()
    assert late.is_waited_for.wait(DEADLINE)
    assert results == []
    late.may_go.set()
    caller.join(DEADLINE)
    (result,) = results
    assert len(late.blocks) == n_jobs - 1
    np.testing.assert_equal(result, one)


@pytest.mark.parametrize("method", ["hire", "wait"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_error_while_a_helper_works_leaves_nothing_behind(method, error, helpers, monkeypatch):
    model = fitted(n_jobs=2)
    late = LateHelper()

    def fail(*args):
        raise error

    def hire(*args):
        late.hire(*args)
        fail()

    def hire_unwaited(*args):
        job = late.hire(*args)
        job.wait = fail
        return job

    with monkeypatch.context() as patched:
        patched.setattr(helpers, "hire", hire if method == "hire" else hire_unwaited)
        with pytest.raises(error):
            model.predict_proba(X)
    assert dispatch._budget.n_busy == 0
    assert model.predict_proba(X).tobytes() == expected()
    late.may_go.set()
    for thread in late.threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert model.predict_proba(X).tobytes() == expected()
    assert is_right()
