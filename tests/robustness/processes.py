"""The program of test_processes.py: what becomes of fastnet in other processes and threads.

    python -m tests.robustness.processes outcomes.json "child" "pool spawn"

performs scenarios, which are functions of this module or of forks, with their arguments, and
writes the outcome of each, which should be "same bits". To a file, as TBB writes to stdout;
and it is one itself, as children that are spawned import the main module of their parent.
"""

import faulthandler
import json
import multiprocessing
import signal
import sys
import traceback
from pathlib import Path

import joblib
import numba
import numpy as np
from sklearn.model_selection import GridSearchCV

from fastnet import SigmoidMLPClassifier
from fastnet._engine import dispatch

from . import forks
from .forks import (
    DEADLINE,
    compared,
    digest,
    forked,
    has_helpers,
    samples,
    unfitted,
    use_threads_at_once,
    with_sigterm_handler,
)

# For what is known to hang.
PLAIN_DEADLINE = 2


def pool(start_method):
    """Fit in a pool of processes, and send them a model to predict with."""
    X, y = samples()
    model = unfitted().fit(X, y)
    context = multiprocessing.get_context(start_method)
    if start_method == "forkserver":
        context.set_forkserver_preload(["fastnet"])
    with context.Pool(2, initializer=use_threads_at_once) as processes:
        digests = processes.starmap_async(digest, [()] * 4).get(DEADLINE)
        parts = processes.map_async(model.predict_proba, np.array_split(X, 4)).get(DEADLINE)
    assert np.array_equal(np.concatenate(parts), model.predict_proba(X))
    return compared(*digests)


def parallel(backend):
    jobs = (joblib.delayed(digest)() for _ in range(4))
    return compared(*joblib.Parallel(n_jobs=2, backend=backend, timeout=DEADLINE)(jobs))


def search(backend):
    """Compare a search by two workers with one by one."""
    use_threads_at_once()
    found = []
    for n_jobs in (1, 2):
        grid = {"alpha": [1e-4, 1e-3]}
        with joblib.parallel_config(backend=backend):
            model = GridSearchCV(unfitted(), grid, scoring="neg_log_loss", cv=2, n_jobs=n_jobs)
            model.fit(*samples())
        scores = [model.cv_results_[f"split{i}_test_score"] for i in range(2)]
        found.append([*scores, *model.best_estimator_.coefs_])
    return "same bits" if all(map(np.array_equal, *found)) else f"other bits: {found}"


def threads_of_a_worker():
    """Return how many threads a process may use, and whether it has helpers."""
    digest()
    return numba.config.NUMBA_NUM_THREADS, dispatch.effective_n_threads(None), has_helpers()


def limit_of_joblib():
    """Let loky's workers use their share of the cores, and then two threads each."""
    n_each = max(1, joblib.cpu_count() // 2)
    for n_inner, n_threads in ((None, n_each), (2, 2)):
        with joblib.parallel_config(backend="loky", inner_max_num_threads=n_inner):
            jobs = (joblib.delayed(threads_of_a_worker)() for _ in range(2))
            found = set(joblib.Parallel(n_jobs=2)(jobs))
        assert found == {(n_threads, n_threads, n_threads > 1)}, found
    return "same bits"


def dask_graph(scheduler):
    import dask

    X, y = samples()
    model = dask.delayed(SigmoidMLPClassifier.fit)(unfitted(), X, y)
    parts = np.array_split(X, 4)
    graph = [dask.delayed(SigmoidMLPClassifier.predict_proba)(model, part) for part in parts]
    graph += [dask.delayed(digest, pure=False)() for _ in range(4)]
    *predicted, a, b, c, d = dask.compute(*graph, scheduler=scheduler)
    assert np.array_equal(np.concatenate(predicted), unfitted().fit(X, y).predict_proba(X))
    return compared(a, b, c, d)


@numba.njit(parallel=True)
def fill(x):
    for i in numba.prange(len(x)):
        x[i] = 1.0


def plain():
    """Return what numba alone makes of an array."""
    x = np.zeros(1000)
    fill(x)
    return "computes" if x.all() else "returns without having computed"


def plain_parent():
    return plain()


def plain_child():
    return forked(plain)


def plain_child_with_sigterm_handler():
    return with_sigterm_handler(plain)


def plain_grandchild():
    return forked(lambda: forked(plain, PLAIN_DEADLINE))


def openmp_vendor():
    from numba.np.ufunc import omppool

    return omppool.openmp_vendor


def main(path, *scenarios):
    # Should this very process hang, then the stack shows where.
    faulthandler.register(signal.SIGALRM, all_threads=False, chain=True)
    outcomes = {}
    for scenario in scenarios:
        name, *arguments = scenario.split()
        signal.alarm(2 * DEADLINE)
        try:
            outcomes[scenario] = getattr(forks, name, globals().get(name))(*arguments)
        except Exception:
            outcomes[scenario] = traceback.format_exc()
        Path(path).write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
