"""Exceptions at every point of a call, and what must be the same afterwards."""

import copy
import itertools
import sys
import warnings
from collections import Counter
from functools import cached_property
from pathlib import Path

import numpy as np

import fastnet
from fastnet._engine import dispatch

OURS = tuple(str(Path(module.__file__).parent) for module in (fastnet, fastnet.kernels))
KERNELS = OURS[1]
# A signal's handler cannot raise between the lines that give a share of threads back.
SHARING = (dispatch.__file__, str(Path(dispatch.__file__).with_name("threads.py")))


def is_ours(frame):
    return frame is not None and frame.f_code.co_filename.startswith(OURS)


def is_sharing(strike):
    """Return whether a point is passed by what shares a call among threads."""
    parts = itertools.chain.from_iterable(
        part if isinstance(part, tuple) else (part,) for part in strike[0]
    )
    return any(getattr(part, "co_filename", part) in SHARING for part in parts)


class Points:
    """Counts the points that a block passes, and raises at one of them, if one is given.

    Parameters
    ----------
    strike : tuple of (point, int), optional
        At which point to raise, and at which passage of it.
    error : type, optional
        What to raise.
    """

    def __init__(self, strike=None, error=None):
        self.strike, self.error = strike, error
        self.passed = Counter()

    @property
    def has_struck(self):
        return self.strike is not None and self.passed[self.strike[0]] >= self.strike[1]

    def strikes(self):
        """Return every point with a passage to strike at: of three epochs, in the second."""
        return [(point, -(-2 * count // 3)) for point, count in self.passed.items()]

    def _pass(self, *point):
        self.passed[point] += 1
        if (point, self.passed[point]) == self.strike:
            raise self.error


class Calls(Points):
    """Points where CPython lets a signal's handler raise.

    As a function begins, and as one in C or a kernel has returned; of fastnet's functions
    and of those that they call.
    """

    def __enter__(self):
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *error):
        sys.setprofile(None)

    def _profile(self, frame, event, arg):
        caller = frame.f_back
        if event == "call" and (is_ours(frame) or is_ours(caller)):
            # One that is not exhausted begins once more to be closed, and CPython drops
            # what is raised then.
            if frame.f_code.co_name != "<genexpr>":
                self._pass(frame.f_code, caller and (caller.f_code, caller.f_lineno))
        elif event == "c_return" and is_ours(frame):
            self._pass(arg.__name__, frame.f_code, frame.f_lineno)
        elif event == "return" and frame.f_code.co_filename.startswith(KERNELS):
            self._pass(event, frame.f_code)


class Lines(Points):
    """The lines of fastnet."""

    def __enter__(self):
        sys.settrace(self._trace)
        return self

    def __exit__(self, *error):
        sys.settrace(None)

    def _trace(self, frame, event, arg):
        if event == "line":
            self._pass(frame.f_code.co_filename, frame.f_code.co_name, frame.f_lineno)
        is_traced = is_ours(frame) and frame.f_code.co_filename not in SHARING
        return self._trace if is_traced else None


def frozen(value):
    """Return a copy of a value that compares by its content, arrays by their bytes."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, np.random.RandomState):
        return frozen(value.get_state(legacy=False))
    if isinstance(value, dict):
        return {name: frozen(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [frozen(item) for item in value]
    if hasattr(value, "__dict__") and not callable(value):
        return type(value), frozen(vars(value))
    return value


def state(model):
    """Return all that an estimator holds, public or private, in the form of `frozen`."""
    return frozen(vars(model))


def twin(model):
    """Return a copy that shares nothing with a model, what a pickle leaves out included."""
    other = object.__new__(type(model))
    other.__dict__ = copy.deepcopy(vars(model))
    return other


class Outcomes:
    """The states that a model may be in after a call that was not left alone.

    Parameters
    ----------
    prepared : SigmoidMLPClassifier
        The model before.
    act : callable
        Trains it.
    """

    def __init__(self, prepared, act):
        self.prepared, self.act = prepared, act
        self.before = state(prepared)
        self._complete = {}

    @cached_property
    def whole(self):
        """The state after a call that is left alone."""
        return state(self.act(twin(self.prepared)))

    def complete(self, n_epochs):
        """Return the state after so many epochs, where nothing interrupts them."""
        if n_epochs not in self._complete:
            max_iter = self.prepared.max_iter
            model = self.act(twin(self.prepared).set_params(max_iter=n_epochs))
            self._complete[n_epochs] = state(model.set_params(max_iter=max_iter))
        return self._complete[n_epochs]

    def of(self, act, error):
        """Return what becomes of a model while an error may be raised, which is checked.

        One of "unchanged", with the error; "an epoch", with scikit-learn's warning, if the
        error is Ctrl-C; "whole", with the error or without.
        """
        model = twin(self.prepared)
        raised = None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                act(model)
            except BaseException as exception:
                raised = type(exception)
                # While there is a traceback: nothing may depend on when what it holds is freed.
                after = state(model)
        assert dispatch._budget.n_busy == 0
        if raised is not None:
            assert issubclass(raised, KeyboardInterrupt) == issubclass(error, KeyboardInterrupt)
            unchanged = after == self.before
            assert unchanged or after == self.whole
            return "unchanged" if unchanged else "whole"
        if "Training interrupted by user." in {str(warning.message) for warning in caught}:
            assert issubclass(error, KeyboardInterrupt)
            assert state(model) == self.complete(model.n_iter_)
            return "an epoch"
        assert state(model) == self.whole
        return "whole"
