"""scikit-learn's support of callbacks, from 1.9 on."""

from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks; adds nothing."""


__all__ = ["CallbackSupportMixin", "callback_state"]

# Set by `_init_callback_context`; the decorator of `fit` tears callbacks down by them.
_DURING_FIT = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")


def callback_state(estimator: Any) -> dict[str, Any]:
    """Return the attributes that even a failed fit must set.

    Without them no callback would be torn down: a progress bar's thread, for one, would
    go on for as long as the process.
    """
    return {name: value for name, value in vars(estimator).items() if name in _DURING_FIT}
