"""skops: the estimator's class to trust, and what comes back is what went in."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPClassifier

from .._support.model_files import BASE, KINDS, REGRESSORS, example, same

io = pytest.importorskip("skops.io", reason="skops is optional")

# Most tests ask for a number of epochs and get it.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# What the documents say must be passed as `trusted`.
TRUSTED = ["fastnet._classifier.SigmoidMLPClassifier"]
TRUSTED_REGRESSOR = ["fastnet._regressor.SigmoidMLPRegressor"]

kinds = pytest.mark.parametrize("kind", [*KINDS, *REGRESSORS])


def copy_of(estimator, trusted=TRUSTED):
    """Return what skops makes of an estimator, all types but one being its own affair."""
    written = io.dumps(estimator)
    assert io.get_untrusted_types(data=written) == trusted
    return io.loads(written, trusted=trusted)


@kinds
def test_all_of_an_estimator_comes_back_in_one_vector(kind):
    model, X, _ = example(kind)
    is_regressor = kind in REGRESSORS
    again = copy_of(model, TRUSTED_REGRESSOR if is_regressor else TRUSTED)
    assert same(vars(again), vars(pickle.loads(pickle.dumps(model))))
    assert all(w.base is again.coefs_[0].base for w in (*again.coefs_, *again.intercepts_))
    for method in ("predict",) if is_regressor else ("predict_proba", "decision_function"):
        assert_array_equal(getattr(again, method)(X), getattr(model, method)(X))


@pytest.mark.parametrize(
    "kind", ["adam, parts", "plain sgd, parts", "rprop, warm", "adaptive, warm", "lbfgs, warm"]
)
def test_training_goes_on_to_the_same_bits(kind):
    model, X, y = example(kind)
    model = pickle.loads(pickle.dumps(model))
    again = copy_of(model)
    for _ in range(2):
        for estimator in (model, again):
            estimator.fit(X, y) if estimator.warm_start else estimator.partial_fit(X, y)
    assert same(vars(model), vars(again))


@pytest.mark.parametrize(
    "parameters",
    [
        {"random_state": np.random.RandomState(0)},
        {"max_iter": np.int64(3), "alpha": np.float32(0.5)},
        {"class_weight": {0: 1.0, 1: 2.0}, "scoring": "loss"},
        {"hidden_layer_sizes": np.array([3, 3])},
    ],
    ids=lambda parameters: "-".join(parameters),
)
def test_parameters_add_no_type_to_trust(parameters):
    _, X, y = example("binary")
    model = SigmoidMLPClassifier(**{**BASE, **parameters}).fit(X, y)
    assert_array_equal(copy_of(model).predict_proba(X), model.predict_proba(X))
    unfitted = SigmoidMLPClassifier(**{**BASE, **parameters})
    assert copy_of(unfitted).get_params().keys() == unfitted.get_params().keys()


def test_inside_of_a_pipeline():
    _, X, y = example("multiclass")
    model = make_pipeline(StandardScaler(), SigmoidMLPClassifier(**BASE)).fit(X, y)
    assert_array_equal(copy_of(model).predict_proba(X), model.predict_proba(X))


def test_without_trust_nothing_is_loaded():
    with pytest.raises(TypeError, match="SigmoidMLPClassifier"):
        io.loads(io.dumps(example("binary")[0]))
