"""What an export has to know of a model: weights, what the outputs are, and the labels."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .._classifier import SigmoidMLPClassifier
from .._folding import as_one_network
from .._regressor import SigmoidMLPRegressor
from .._version import __version__

# What becomes of logits z: "pair" is the sigmoids of -z and z, "normalised" are sigmoids
# divided by their sum.
Output = Literal["pair", "sigmoid", "softmax", "normalised", "identity", "exp"]


@dataclass(frozen=True)
class FittedNetwork:
    """A network's numbers, apart from the estimator.

    Attributes
    ----------
    coefs, intercepts : list of ndarray
        Of each layer, the weights of shape (fan_in, fan_out), and the biases.
    output : str
        What becomes of logits.
    labels : ndarray of shape (n_labels,) or None
        Of a classifier with classes: what index 0, 1, ... stands for. None for multilabel and
        for regressors.
    """

    coefs: list[npt.NDArray[Any]]
    intercepts: list[npt.NDArray[Any]]
    output: Output
    labels: npt.NDArray[Any] | None

    @classmethod
    def of(cls, model: Any) -> "FittedNetwork":
        """Return what there is to know of a model, as `as_one_network` takes it."""
        fitted = as_one_network(model)
        output, labels = (
            (_OUTPUTS[fitted.out_activation_], None)
            if isinstance(fitted, SigmoidMLPRegressor)
            else _of_classifier(fitted)
        )
        coefs, intercepts = (
            [np.ascontiguousarray(array) for array in arrays]
            for arrays in (fitted.coefs_, fitted.intercepts_)
        )
        return cls(coefs, intercepts, output, labels)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.coefs[0].dtype

    @property
    def is_single(self) -> bool:
        """Whether it is of float32."""
        return self.dtype == np.float32

    @property
    def is_classifier(self) -> bool:
        """Whether outputs are probabilities."""
        return self.output not in ("identity", "exp")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer, the features first."""
        return (len(self.coefs[0]), *(coef.shape[1] for coef in self.coefs))

    @property
    def n_features(self) -> int:
        """Features of a row."""
        return self.sizes[0]

    @property
    def n_outputs(self) -> int:
        """Columns of probabilities, or of values."""
        return 2 if self.output == "pair" else self.sizes[-1]

    @property
    def title(self) -> str:
        """Say in a line what it is and who wrote it."""
        sizes = "-".join(map(str, self.sizes))
        count = sum((a + 1) * b for a, b in pairwise(self.sizes))
        return f"Network of {sizes} units, {count:,} {self.dtype} parameters; fastnet {__version__}"

    def plain_labels(self) -> list[str] | list[int] | list[bool] | list[float]:
        """Return the labels as objects of Python, all of one type.

        Raises
        ------
        ValueError
            If they are of another kind, of several kinds, or not finite.
        """
        assert self.labels is not None
        labels: list[Any] = self.labels.tolist()
        kind = type(labels[0])
        if (
            kind not in (str, int, bool, float)
            or any(type(label) is not kind for label in labels)
            or (kind is float and not np.isfinite(labels).all())
        ):
            raise ValueError(
                "Labels must be text, integers, booleans or finite floats, all of one kind; got"
                f" {labels!r}."
            )
        return labels


_OUTPUTS: dict[str, Output] = {
    "logistic": "sigmoid", "softmax": "softmax", "identity": "identity", "exp": "exp",
}  # fmt: skip


def _of_classifier(model: SigmoidMLPClassifier) -> tuple[Output, npt.NDArray[Any] | None]:
    y_type = model._label_binarizer.y_type_
    if y_type == "multiclass":
        output: Output = "softmax" if model.out_activation_ == "softmax" else "normalised"
        return output, model.classes_
    if y_type == "binary":
        # A single class is the answer in any case.
        labels = model.classes_
        return "pair", np.concatenate([labels, labels]) if len(labels) == 1 else labels
    return "sigmoid", None
