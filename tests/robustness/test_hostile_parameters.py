"""Parameters of any type and size: scikit-learn's error, also where it does not look."""

import copy
import functools
import re
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils._param_validation import InvalidParameterError

from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor, _inputs, kernels
from fastnet._engine.solvers import SGD

from .._support.refusals import record_launches, refusal

pytestmark = pytest.mark.thorough

X = np.random.default_rng(0).normal(size=(60, 4))
y = np.arange(60) % 2
SMALL = {"hidden_layer_sizes": (3,), "max_iter": 3, "random_state": 0}
PAIRS = [(SigmoidMLPClassifier, MLPClassifier), (SigmoidMLPRegressor, MLPRegressor)]

needs_limits = pytest.mark.skipif(
    sys.platform != "linux", reason="the memory of a process is limited as on Linux"
)

VALUES = (
    float("nan"), float("inf"), -float("inf"), -1, 0, 0.5, 2, 10**12, 2**63, -(10**9), True,
    np.True_, "3", "auto", "", None, [3], (), np.array([1.5]), np.array(3), np.float32(-1),
    object(), 3 + 0j, {}, {"a": 1}, b"x", len,
)  # fmt: skip


@functools.cache
def fitted(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(**SMALL).fit(X, y)


def in_order(said):
    """Return a refusal with sets of strings in order: each process prints them in another."""
    kind, text = said
    return kind, re.sub(r"\{.*?\}", lambda names: str(sorted(names[0][1:-1].split(", "))), text)


@pytest.mark.parametrize(
    ("ours", "theirs", "name"), [(*pair, name) for pair in PAIRS for name in pair[0]().get_params()]
)
def test_what_is_not_valid_is_refused_by_every_fit(ours, theirs, name, monkeypatch):
    """scikit-learn looks in a first `partial_fit`, not in later ones."""
    example = fitted(ours)
    launched = record_launches(monkeypatch)
    n_refused = 0
    for value in VALUES:
        model = ours(**SMALL | {name: value})
        said = refusal(model, "_validate_params")
        if said is None:
            continue
        n_refused += 1
        if name in theirs().get_params() and name not in ("activation", "solver"):
            expected = refusal(theirs(**SMALL | {name: value}), "_validate_params")
            assert in_order(said) == in_order(expected)
        assert said[0] is InvalidParameterError
        assert said[1].startswith(f"The '{name}' parameter of {theirs.__name__} must be")
        assert refusal(model, "fit", X, y) == said
        again = copy.deepcopy(example).set_params(**{name: value})
        if name in ("early_stopping", "hidden_layer_sizes"):
            # Something else is said before.
            assert issubclass(refusal(again, "partial_fit", X, y)[0], ValueError)
        else:
            assert refusal(again, "partial_fit", X, y) == said
    assert n_refused > 5 or name == "random_state"
    assert launched == []


def test_parameters_are_looked_at_once():
    """Only where that keeps nothing of the user's alive."""
    _inputs._check_plain.cache_clear()
    model = SigmoidMLPClassifier(**SMALL)
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1])
    assert _inputs._check_plain.cache_info()[:2] == (2, 1)
    model.set_params(random_state=np.random.RandomState(0)).partial_fit(X, y)
    model.set_params(random_state=None, class_weight={0: 1.0, 1: 2.0}).partial_fit(X, y)
    assert _inputs._check_plain.cache_info()[:2] == (2, 1)
    # 1, 1.0 and True are equal, but not alike.
    model.set_params(class_weight=None, max_iter=1).partial_fit(X, y)
    with pytest.raises(InvalidParameterError, match="max_iter"):
        model.set_params(max_iter=1.0).partial_fit(X, y)
    with config_context(skip_parameter_validation=True):
        model.partial_fit(X, y)


@pytest.mark.parametrize(
    "sizes",
    [True, (True,), (3.0,), (0.5,), (np.float64(3),), (np.nan,), ("3",), (None,), ((3,),), "33",
     np.array([3.5]), np.array([[3]]), np.array(3), {"a": 1}],
    ids=repr,
)  # fmt: skip
def test_units_are_integers(sizes):
    """scikit-learn has various words for that, or half a unit is none."""
    for method in ("fit", "partial_fit"):
        model = copy.deepcopy(fitted(SigmoidMLPClassifier)).set_params(hidden_layer_sizes=sizes)
        assert refusal(model, method, X, y)[0] is InvalidParameterError


@pytest.mark.parametrize("momentum", [-1.0, float("nan"), -1e-300, 1e-300, 0.0, -0.0, 2.0])
def test_there_is_room_for_the_state_of_every_solver(momentum):
    """Even where nobody looks at parameters: kernels write to it unchecked."""
    solver = SGD(0.1, "constant", 0.5, momentum, True).allocate(7, np.dtype(float))
    assert solver.state.size == (0 if solver.code == kernels.SGD else 7)


FALLING = """
from fastnet._engine.solvers import SGD
for power_t in (1e3, 1e300, 10**6, 2**40, 2**63):
    solver = SGD(0.1, "invscaling", power_t, 0.9, True)
    solver.iteration_ends(60)
    print(solver.learning_rate)
"""


@pytest.mark.processes
def test_a_learning_rate_may_fall_to_zero():
    """The power of an integer would take for ever to work out."""
    done = subprocess.run(
        [sys.executable, "-c", FALLING], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["0.0"] * 5


UNCHECKED = """
import resource, sys, warnings
import numpy as np
import sklearn
from fastnet import SigmoidMLPClassifier
from fastnet._engine import dispatch

# What is far too large is refused on any machine.
resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
warnings.simplefilter("ignore")
X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 2
small = dict(hidden_layer_sizes=(3,), max_iter=3, random_state=0, tol=10.0, n_iter_no_change=1)
values = (
    float("nan"), float("inf"), -1, 0, 0.5, 2, 10**12, 2**63, 10**400, -(10**9), True, "3",
    None, [3], np.array([1.5]), 3 + 0j, {},
)
only = {
    "momentum": {"solver": "sgd"}, "nesterovs_momentum": {"solver": "sgd"},
    "power_t": {"solver": "sgd", "learning_rate": "invscaling"},
    "learning_rate": {"solver": "sgd"}, "max_fun": {"solver": "lbfgs"},
    "validation_fraction": {"early_stopping": True}, "scoring": {"early_stopping": True},
}
calls = 0
for name in SigmoidMLPClassifier().get_params():
    for value in values:
        model = SigmoidMLPClassifier(**small | only.get(name, {}))
        if name not in ("max_fun", "validation_fraction", "scoring"):
            model.partial_fit(X, y, classes=[0, 1])
        model.set_params(**{name: value})
        for method in ("partial_fit", "fit", "predict_proba"):
            calls += 1
            try:
                with sklearn.config_context(skip_parameter_validation=True):
                    result = getattr(model, method)(*(X, y)[: 1 + method.endswith("fit")])
            except Exception as error:
                assert str(error), (name, value, error)
            else:
                assert np.isfinite(result.coefs_[0] if method.endswith("fit") else result).all()
print(calls)
"""


@pytest.mark.processes
@needs_limits
def test_nothing_crashes_where_nobody_looks():
    done = subprocess.run(
        [sys.executable, "-c", UNCHECKED], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # `verbose` is among them.
    assert int(done.stdout.splitlines()[-1]) == 3 * 17 * len(SigmoidMLPClassifier().get_params())


HUGE = """
import resource
import numpy as np
from fastnet import SigmoidMLPClassifier

X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 2
SigmoidMLPClassifier((3,), max_iter=1, tol=10.0).partial_fit(X, y, classes=[0, 1])
resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for sizes in (
    2**40, (2**31, 2**31), (10**9,) * 3, (14 * 10**6,) * 2, (2**61,), (2**62, 2**62), (2**63,),
    (2**64,), (10**400,), (3, 2**40), [2**31] * 10, (2**32 + 1, 2**32 + 1, 1),
):
    for dtype in (np.float32, np.float64):
        for method in ("fit", "partial_fit"):
            model = SigmoidMLPClassifier(sizes)
            known = {"classes": [0, 1]} if method == "partial_fit" else {}
            try:
                getattr(model, method)(X.astype(dtype), y, **known)
            except (ValueError, MemoryError) as error:
                assert not hasattr(model, "coefs_")
                assert "too large" in str(error) or "Unable to allocate" in str(error), error
            else:
                raise AssertionError(f"{sizes} was fitted")
# In kB.
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < used + 100_000
"""


@pytest.mark.processes
@needs_limits
def test_networks_beyond_the_memory_are_refused_before_anything_is_drawn():
    done = subprocess.run([sys.executable, "-c", HUGE], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    "parameters",
    [{"n_jobs": -(10**9)}, {"n_jobs": 10**12}, {"batch_size": 10**400}, {"max_iter": 10**400},
     {"n_iter_no_change": 10**400}, {"max_fun": 10**400, "solver": "lbfgs"}],
    ids=str,
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Got `batch_size`")
def test_what_is_huge_but_valid_is_as_good_as_any(parameters: dict[str, Any]):
    samples = X.astype(np.float32), y
    # Rewarded at first only, so that it stops soon.
    shared = SMALL | {"max_iter": 10**6, "tol": 10.0, "n_iter_no_change": 1}
    shared["max_iter"] = 3 if "n_iter_no_change" in parameters else shared["max_iter"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = SigmoidMLPClassifier(
            **shared | {name: value for name, value in parameters.items() if name == "solver"}
        ).fit(*samples)
        model = SigmoidMLPClassifier(**shared | parameters).fit(*samples)
    if "n_iter_no_change" not in parameters:
        assert model.n_iter_ == expected.n_iter_
    np.testing.assert_array_equal(model.predict_proba(X)[:3], model.predict_proba(X[:3]))
