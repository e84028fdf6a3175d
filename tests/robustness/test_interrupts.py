"""Exceptions at any point of a fit: nothing has changed, or after Ctrl-C an epoch is complete."""

import contextlib
import gc
import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastnet._engine import dispatch, trainer
from fastnet._engine.trainer import Trainer

from .._support import estimators
from .._support.faults import Calls, Lines, Outcomes, is_sharing, state, twin
from .._support.programs import ROOT, program

# A number of epochs is asked for, and noise teaches nothing.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.processes,
]

# Of processes, on a machine that may be busy.
TIMEOUT = 300

real_signals = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="signals as POSIX has them"
)

rng = np.random.default_rng(0)
X, y = rng.normal(size=(48, 3)), rng.integers(2, size=48)
WEIGHTS = rng.uniform(0.5, 2.0, 48)


unfitted = partial(estimators.unfitted, batch_size=16)
fit = methodcaller("fit", X, y)


def fit_validated(model):
    return model.fit(X, y, WEIGHTS, X_val=X[::2], y_val=y[::2])


def partial_fit(model):
    return model.partial_fit(X, y, classes=[0, 1])


def accuracy(model, X, y):
    return np.mean(model.predict(X) == y)


class Scenario(NamedTuple):
    """A model, what is done to it, and on how many threads."""

    prepared: Callable[[], Any]
    act: Callable[[Any], Any]
    n_threads: int = 1


SCENARIOS = {
    "refit per sample": Scenario(
        lambda: fit(unfitted(solver="sgd", batch_size=1, learning_rate="adaptive", tol=9.0)), fit
    ),
    "first part": Scenario(unfitted, partial_fit),
    "validation": Scenario(
        lambda: unfitted(
            early_stopping=True,
            scoring=accuracy,
            # Not the generator that the kernel of the shuffle knows.
            random_state=np.random.RandomState(np.random.PCG64(3)),
        ),
        fit_validated,
    ),
    "L-BFGS": Scenario(lambda: fit(unfitted(solver="lbfgs", warm_start=True)), fit),
    "two threads": Scenario(
        lambda: fit(unfitted(n_jobs=2, batch_size=32, early_stopping=True)), fit, 2
    ),
}


@pytest.fixture(params=SCENARIOS)
def scenario(request, monkeypatch):
    scenario = SCENARIOS[request.param]
    if scenario.n_threads > dispatch.effective_n_threads(None):
        pytest.skip("one core: nothing runs in parallel here")
    # Else it depends on the time that calls take how many there are.
    monkeypatch.setattr(trainer.time, "perf_counter", lambda: 0.0)
    return scenario


def points_of(kind, act):
    """Return the points that a call passes by itself: the collector may call anything."""
    gc.disable()
    try:
        with kind() as points:
            act()
    finally:
        gc.enable()
    return points


def strike_at_every_point(scenario, kind, *errors):
    """Raise at every point of a training, the errors in turn; return how often it ended how."""
    outcomes = Outcomes(scenario.prepared(), scenario.act)
    # Loads what there is to load.
    assert outcomes.whole != outcomes.before
    strikes = points_of(kind, lambda: scenario.act(twin(outcomes.prepared))).strikes()
    ends = Counter()
    for i, strike in enumerate(strikes):
        error = errors[i % len(errors)]
        points = kind(strike, error)

        def act(model, points=points):
            with points:
                scenario.act(model)

        end = outcomes.of(act, error)
        if not points.has_struck:
            # What helpers do meanwhile decides what is passed when one is asked for help.
            assert is_sharing(strike)
            assert end == "whole"
            continue
        # The last point is the return.
        assert end != "whole" or strike == strikes[-1]
        ends[end] += 1
    # Nothing is left behind that does harm.
    assert state(scenario.act(twin(outcomes.prepared))) == outcomes.whole
    return ends


def test_ctrl_c_wherever_a_signal_is_heard(scenario):
    ends = strike_at_every_point(scenario, Calls, KeyboardInterrupt)
    assert ends["unchanged"] > 0
    assert ends["an epoch"] > 0


@pytest.mark.parametrize("scenario", list(SCENARIOS)[:-1], indirect=True)
def test_an_exception_at_any_line(scenario):
    ends = strike_at_every_point(scenario, Lines, KeyboardInterrupt, MemoryError, RuntimeError)
    assert ends["unchanged"] > ends["an epoch"] > 0


def test_a_second_ctrl_c_while_the_first_is_handled(monkeypatch):
    outcomes = Outcomes(fit(unfitted(early_stopping=True)), fit)
    train = Trainer.epochs

    def interrupted(points):
        n_epochs = 0

        def epochs(trainer, orders):
            nonlocal n_epochs
            n_epochs += len(orders)
            losses = train(trainer, orders)
            if n_epochs == 3:
                points.__enter__()
                raise KeyboardInterrupt
            return losses

        def act(model):
            with monkeypatch.context() as patched:
                patched.setattr(Trainer, "epochs", epochs)
                try:
                    fit(model)
                finally:
                    points.__exit__()

        return outcomes.of(act, KeyboardInterrupt)

    points = Calls()
    assert interrupted(points) == "an epoch"
    strikes = points.strikes()
    assert len(strikes) > 10
    for strike in strikes:
        assert interrupted(Calls(strike, KeyboardInterrupt)) in ("unchanged", "an epoch")


@pytest.mark.parametrize("method", ["predict_proba", "input_gradients", "loss_gradients"])
def test_ctrl_c_wherever_it_is_heard_in_a_prediction(method):
    model = fit(unfitted())
    before = state(model)

    def act():
        return getattr(model, method)(*((X, y) if method == "loss_gradients" else (X,)))

    expected = act()
    for strike in points_of(Calls, act).strikes():
        points = Calls(strike, KeyboardInterrupt)
        with contextlib.suppress(KeyboardInterrupt), points:
            act()
            # As above, it depends on what helpers do.
            assert is_sharing(strike)
            assert not points.has_struck
        assert dispatch._budget.n_busy == 0
    assert state(model) == before
    np.testing.assert_equal(act(), expected)


def command(*arguments):
    return program("robustness.signals", *arguments, flags=("-u", "-W", "ignore"))


def performed(*arguments, **environment):
    """Return what a function of signals.py returns in a process of its own."""
    return json.loads(
        subprocess.run(
            command(*arguments), cwd=ROOT, env=os.environ | environment,
            stdout=subprocess.PIPE, check=True, timeout=TIMEOUT,
        ).stdout
    )  # fmt: skip


@real_signals
def test_signals_at_random_moments_of_fits():
    ends = performed("fits")
    assert ends.keys() <= {"unchanged", "an epoch", "whole"}
    # How many of them hit depends on how fast the machine is.
    assert sum(ends.values()) > 0


@real_signals
def test_ctrl_c_at_random_moments_of_predictions():
    assert sum(performed("predictions").values()) > 0


@real_signals
def test_ctrl_c_while_kernels_are_compiled(tmp_path):
    """The first while numba sets itself up."""
    # Nothing that was kept beside the sources is read then.
    only_there = "UserProvidedCacheLocator"
    cold = {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_CACHE_LOCATOR_CLASSES": only_there}
    interrupted = performed("compilation", "0.05", "0.5", "1.5", **cold)
    assert interrupted == performed("compilation")


def end_of_endless(function, number):
    """Send a signal to a fit that prints its epochs; return its exit code and what it prints."""
    with subprocess.Popen(
        command(function), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stdout:
                if line.startswith("Iteration 3,"):
                    break
            process.send_signal(number)
            output, _ = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
    return process.returncode, output


@real_signals
def test_ctrl_c_ends_an_endless_fit():
    code, output = end_of_endless("endless", signal.SIGINT)
    assert code == 0
    assert output.endswith('"an epoch"\n')


@real_signals
def test_sigterm_ends_an_endless_fit():
    assert end_of_endless("endless", signal.SIGTERM)[0] == -signal.SIGTERM


@real_signals
def test_a_handler_may_exit():
    assert end_of_endless("endless_with_handler", signal.SIGTERM)[0] == 3
