"""What an estimator keeps from one prediction of a few rows to the next."""

from operator import is_
from typing import Any

from fastnet import kernels

from ._engine.few_rows import FewRows
from ._engine.network import FloatArray

# What the prediction of a plain array depends on, next to the weights.
_ATTRIBUTES = (
    "coefs_",
    "intercepts_",
    "n_features_in_",
    "n_outputs_",
    "out_activation_",
    "feature_names_in_",
    "n_jobs",
    "_label_binarizer",
)


class Kept:
    """A network ready for a few rows, and the objects that it was made from.

    It is right as long as they are the same objects: weights that are edited in place are
    views of the vector that it predicts with.

    Parameters
    ----------
    attributes : dict
        The estimator's. All weights and biases are views of one vector.
    few_rows : FewRows
        The network with that vector.
    output : int or None
        What to make of the logits for predictions; None if that takes more than a kernel.

    Attributes
    ----------
    out_activation : str or None
        The estimator's `out_activation_`.
    """

    __slots__ = (
        "_arrays", "_few_rows", "_lists", "_objects", "_output", "_shapes", "_y_type",
        "out_activation",
    )  # fmt: skip

    def __init__(self, attributes: dict[str, Any], few_rows: FewRows, output: int | None) -> None:
        self._objects = tuple(map(attributes.get, _ATTRIBUTES))
        self._lists: list[Any] = [attributes["coefs_"], attributes["intercepts_"]]
        self._arrays = [array for arrays in self._lists for array in arrays]
        self._shapes = [array.shape for array in self._arrays]
        self._y_type = getattr(self.label_binarizer, "y_type_", None)
        self._few_rows = few_rows
        self._output = output
        self.out_activation = attributes.get("out_activation_")

    @property
    def label_binarizer(self) -> Any:
        """What knows the labels."""
        return self._objects[-1]

    def is_of(self, attributes: dict[str, Any]) -> bool:
        """Return whether an estimator with such attributes predicts so."""
        if not all(map(is_, map(attributes.get, _ATTRIBUTES), self._objects)):
            return False
        coefs, intercepts = self._lists
        arrays = [*coefs, *intercepts]
        return (
            len(coefs) == len(intercepts)
            and len(arrays) == len(self._arrays)
            and all(map(is_, arrays, self._arrays))
            and [array.shape for array in arrays] == self._shapes
            and getattr(self.label_binarizer, "y_type_", None) is self._y_type
        )

    def predictions(self, X: Any) -> FloatArray | None:
        """Return probabilities, or values, or None if X must go the full way."""
        return None if self._output is None else self._few_rows.predict(X, self._output)

    def logits(self, X: Any) -> FloatArray | None:
        """Return the logits, one column flat, or None if X must go the full way."""
        z = self._few_rows.predict(X, kernels.LOGITS)
        return z.ravel() if z is not None and z.shape[1] == 1 else z


class KeepingMixin:
    """A place for a `Kept` that is no part of the estimator's state.

    Not in its ``__dict__``: so no copy, no pickle and no comparison has it, and the step in
    which a training is committed, which replaces that, does not touch it.
    """

    __slots__ = ("_kept_here",)
    _kept_here: Kept | None

    @property
    def _kept(self) -> Kept | None:
        try:
            return self._kept_here
        except AttributeError:
            return None

    @_kept.setter
    def _kept(self, kept: Kept | None) -> None:
        self._kept_here = kept


# scikit-learn refuses to pickle what has this attribute; the place stays without it.
del KeepingMixin.__slots__
