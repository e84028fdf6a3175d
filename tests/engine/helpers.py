"""The program of test_helpers.py: what a process sees of its helpers, and how it ends.

    python -m tests.engine.helpers end_with_idle_helpers

performs a function of this module, and prints "as promised" if nothing is raised there.
"""

import _thread
import sys
import threading
import time
import warnings

DEADLINE = 60
started = []


def recorded(function, args=(), *more, start=_thread.start_new_thread):
    started.append(getattr(function, "__qualname__", ""))
    return start(function, args, *more)


_thread.start_new_thread = recorded

import joblib  # noqa: E402
import numpy as np  # noqa: E402

from fastnet import SigmoidMLPClassifier, kernels  # noqa: E402
from fastnet._engine import dispatch  # noqa: E402
from fastnet.kernels.claims import PATIENCE  # noqa: E402

warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(1100, 40)).astype(np.float32)
y = X[:, 0] > 0


def pretend_four_cores():
    dispatch._lasting_limit = dispatch._n_affine = lambda: 4
    joblib.effective_n_jobs = lambda n_jobs: n_jobs


def share_from_the_start():
    dispatch.MIN_CALL_WORK = dispatch.MIN_SHARED_WORK = 0
    dispatch.BLOCK_WORK = 10_000


def fit(**parameters):
    model = SigmoidMLPClassifier((32,), batch_size=300, random_state=0, n_jobs=4)
    return model.set_params(**{"max_iter": 2} | parameters).fit(X, y)


def use_helpers():
    """Fit and predict until there are helpers."""
    pretend_four_cores()
    share_from_the_start()
    for _ in range(2):
        # The first call of a kernel is not shared.
        fit().predict(X)
    assert dispatch._helpers._all


def hire(function):
    """Have a helper call a function; it is in vain while each has a job that it has not seen."""
    while dispatch._helpers.hire(function, (), 3) is None:
        time.sleep(0.01)


def none_before_they_are_needed():
    """Fit little and much: the defaults of what is worth sharing are those of the library."""
    pretend_four_cores()
    for _ in range(3):
        model = fit()
        for n_rows in (1, 100, len(X)):
            model.predict(X[:n_rows])
    assert dispatch._helpers._all == {}
    assert not any("Helpers" in name for name in started), started
    large = np.tile(X, (20, 1))
    for _ in range(2):
        model.predict(large)
    assert 0 < sum("Helpers" in name for name in started) == len(dispatch._helpers._all) < 4


def end_with_idle_helpers():
    use_helpers()


def end_while_a_daemon_fits():
    use_helpers()
    fits, share_out = threading.Event(), dispatch._share_out

    def recorded(*args):
        share_out(*args)
        fits.set()

    dispatch._share_out = recorded
    endless = {"max_iter": 10**9, "n_iter_no_change": np.inf}
    threading.Thread(target=fit, kwargs=endless, daemon=True).start()
    assert fits.wait(DEADLINE)


def end_while_a_helper_works():
    """End while a helper is in the middle of something that lasts."""
    use_helpers()
    is_begun = threading.Event()

    def last():
        is_begun.set()
        time.sleep(10 * DEADLINE)

    hire(last)
    assert is_begun.wait(DEADLINE)


def no_helper_holds_the_gil():
    """Run Python while a helper is in a kernel, which it leaves when it is told to."""
    calls, share_out = [], dispatch._share_out

    def recorded(function, args, n_workers):
        calls.append((function, args))
        share_out(function, args, n_workers)

    dispatch._share_out = recorded
    use_helpers()
    dispatch._share_out = share_out
    function, args = next(call for call in calls if call[0] is kernels.train_blocks.serial)
    claims = kernels.new_claims()
    # It waits for work of which there is none, for as long as nobody ends that.
    claims[PATIENCE] = 2**62
    is_in, is_out = threading.Event(), threading.Event()

    def work():
        is_in.set()
        function(*args[:-1], claims, 1, 2)
        is_out.set()

    # No thread takes the GIL from another: it has to be given away.
    sys.setswitchinterval(1e6)
    hire(work)
    assert is_in.wait(DEADLINE)
    assert not is_out.wait(0.05)
    kernels.end_claims(claims)
    assert is_out.wait(DEADLINE)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("as promised")
