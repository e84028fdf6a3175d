"""scikit-learn's own battery of estimator checks, on configurations of every kind."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor

pytestmark = pytest.mark.thorough


def made_sparse(X):
    """Return a numeric matrix in CSR form, and leave to fastnet what is not one."""
    if type(X) is np.ndarray and X.ndim == 2 and X.dtype.kind in "fiu" and X.size:
        return sparse.csr_array(X)
    return X


class SparseFed(SigmoidMLPClassifier):
    """Gets all its features in sparse form."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(made_sparse(X), y, sample_weight)

    def partial_fit(self, X, y, sample_weight=None, classes=None):
        return super().partial_fit(made_sparse(X), y, sample_weight, classes)

    def predict(self, X):
        return super().predict(made_sparse(X))

    def predict_proba(self, X):
        return super().predict_proba(made_sparse(X))

    def predict_log_proba(self, X):
        return super().predict_log_proba(made_sparse(X))

    def decision_function(self, X):
        return super().decision_function(made_sparse(X))


class SparseFedRegressor(SigmoidMLPRegressor):
    """Gets all its features in sparse form."""

    def fit(self, X, y, sample_weight=None):
        return super().fit(made_sparse(X), y, sample_weight)

    def partial_fit(self, X, y, sample_weight=None):
        return super().partial_fit(made_sparse(X), y, sample_weight)

    def predict(self, X):
        return super().predict(made_sparse(X))


def regressor(hidden, **parameters):
    return SigmoidMLPRegressor(hidden_layer_sizes=hidden, **parameters)


# Samples of these are drawn into mini-batches.
SHUFFLED = [
    SigmoidMLPClassifier((5,), solver="sgd", batch_size=1, learning_rate_init=0.1, max_iter=50),
    regressor((5,), solver="sgd", batch_size=1, learning_rate_init=0.01, max_iter=50),
]
# Of the others all samples of a check on weights are in one: "auto" is up to 200.
ESTIMATORS = [
    *SHUFFLED,
    SigmoidMLPClassifier(),
    SigmoidMLPClassifier((10,), shuffle=False, learning_rate_init=0.05),
    SigmoidMLPClassifier((20,), loss="squared_error", learning_rate_init=0.05),
    SigmoidMLPClassifier((10,), solver="lbfgs"),
    SigmoidMLPClassifier((10,), solver="rprop"),
    SparseFed((20,), learning_rate_init=0.05),
    SigmoidMLPRegressor(),
    regressor((10,), shuffle=False, learning_rate_init=0.05),
    regressor((10,), solver="lbfgs"),
    regressor((10,), solver="rprop"),
    SparseFedRegressor(learning_rate_init=0.05),
]
# A battery that shrinks says nothing: checks can be dropped silently.
LEAST_CHECKS = {SigmoidMLPClassifier: 67, SigmoidMLPRegressor: 59}


def expected_failures(estimator):
    """Name the checks that cannot pass."""
    if not any(estimator is shuffled for shuffled in SHUFFLED):
        return {}
    reason = "a weight of 2 is not a sample twice where samples are drawn into mini-batches"
    return {
        "check_sample_weight_equivalence_on_dense_data": reason,
        "check_sample_weight_equivalence_on_sparse_data": reason,
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# The checks fit fewer rows than some batch sizes, and pass (n, 1) targets on purpose.
@pytest.mark.filterwarnings("ignore:Got `batch_size`")
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
# Skipped checks say what is not installed.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
# Some checks of scikit-learn 1.7 use what its own dependencies have since deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:sklearn")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_no_check_is_dropped(estimator):
    checks = list(estimator_checks_generator(estimator))
    least = next(n for kind, n in LEAST_CHECKS.items() if isinstance(estimator, kind))
    assert len(checks) >= least
    assert not estimator.__sklearn_tags__()._skip_test
