"""Every name of scikit-learn that is private, or younger than the oldest version supported.

Nothing else in fastnet imports one. `tests/package/test_private_names.py` says which one broke.
"""

from typing import Any

from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call as check_partial_fit_first_call,
)
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks, before 1.9; adds nothing."""


__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "callback_state",
    "check_partial_fit_first_call",
    "check_sample_weight",
    "fit_context",
    "safe_indexing",
    "validate_parameter_constraints",
]

# Set by `_init_callback_context`; the decorator of `fit` tears callbacks down by them.
_DURING_FIT = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


def callback_state(estimator: Any) -> dict[str, Any]:
    """Return the attributes that even a failed fit must set.

    Without them no callback would be torn down: a progress bar's thread, for one, would
    go on for as long as the process.
    """
    return {name: value for name, value in vars(estimator).items() if name in _DURING_FIT}
