"""scikit-learn's own battery of estimator checks: none is expected to fail."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from fastnet import SigmoidMLPClassifier

ESTIMATORS = [
    SigmoidMLPClassifier(),
    SigmoidMLPClassifier((5,), solver="sgd", batch_size=1, learning_rate_init=0.1, max_iter=50),
    SigmoidMLPClassifier((20,), loss="squared_error", learning_rate_init=0.05),
]
# A battery that shrinks says nothing: checks can be dropped silently.
LEAST_CHECKS = 50


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# The checks fit fewer rows than some batch sizes, and pass (n, 1) targets on purpose.
@pytest.mark.filterwarnings("ignore:Got `batch_size`")
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
# Skipped checks say what is not installed.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
# Some checks of scikit-learn 1.7 use what its own dependencies have since deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:sklearn")
@parametrize_with_checks(ESTIMATORS)
def test_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_no_check_is_dropped(estimator):
    checks = list(estimator_checks_generator(estimator))
    assert len(checks) >= LEAST_CHECKS
    assert not estimator.__sklearn_tags__()._skip_test
