"""Networks as a module of Python that needs numpy alone, or nothing at all."""

import os
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from . import _python_text as text
from ._network import FittedNetwork


def to_python(
    model: Any, *, pure: bool = False, weights: str | os.PathLike[str] | None = None
) -> str:
    """Return a fitted network as the text of a module of Python, which does not need fastnet.

    The module has `predict`, and for a classifier `predict_proba` and ``CLASSES``. They take rows
    of features, and return what the model does, but for rounding.

    Parameters
    ----------
    model : SigmoidMLPClassifier, SigmoidMLPRegressor or Pipeline
        A fitted model. Of a pipeline, scalers and PCA are folded into the weights of the first
        layer, as `Predictor` does.
    pure : bool, default=False
        Whether the module is to do without numpy: with lists, for networks of a few units. It
        computes in float64.
    weights : str or os.PathLike, optional
        A file with the ending ``.npz`` to write the weights to. The module reads it, by its name,
        from the folder that the module itself is in. By default the weights are numbers in the
        text, which for a hundred thousand weights is 2 MB.

    Returns
    -------
    text : str
        The module.

    Raises
    ------
    TypeError
        If `model` is something else, or a step cannot be folded.
    ValueError
        If `pure` and `weights` are both given, `weights` does not end with ``.npz``, or labels
        are neither text nor integers, booleans or floats.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from fastnet import SigmoidMLPClassifier
    >>> from fastnet.export import to_python
    >>> coefs = [[[20, -20], [20, -20]], [[20], [20]]]
    >>> xor = SigmoidMLPClassifier.from_weights(coefs, [[-10, 30], [-30]], ["no", "yes"])
    >>> module = {}
    >>> exec(to_python(xor, pure=True), module)
    >>> module["predict"]([[0, 0], [0, 1], [1, 0], [1, 1]])
    ['no', 'yes', 'yes', 'no']
    """
    if weights is not None:
        weights = Path(weights)
        if pure or weights.suffix != ".npz":
            raise ValueError("weights must be a file .npz, and is read by numpy: pure=False.")
    network = FittedNetwork.of(model)
    parts = text.PURE_HEAD, text.PURE_LAYERS, text.PURE_OUTPUTS
    if not pure:
        parts = text.NUMPY_HEAD, text.NUMPY_LAYERS, text.NUMPY_OUTPUTS
    head, layers, outputs = parts
    names = {"title": network.title, "dtype": network.dtype, "n_features": network.n_features}
    body = Template(layers + outputs[network.output]).substitute(names)
    constants = "\n".join(_constants(network, pure, weights))
    if weights is not None:
        head = head.replace("import numpy", "from pathlib import Path\n\nimport numpy")
        np.savez(weights, **_named_arrays(network))
    return f"{Template(head).substitute(names)}\n{constants}\n{body}"


def _named_arrays(network: FittedNetwork) -> dict[str, Any]:
    """Return the weights and biases of each layer under the names that `fastnet.save` has."""
    return {
        f"{kind}_{layer}": array
        for kind, arrays in (("coefs", network.coefs), ("intercepts", network.intercepts))
        for layer, array in enumerate(arrays)
    }


def _constants(network: FittedNetwork, pure: bool, weights: Path | None) -> Iterator[str]:
    """Yield the labels and the weights."""
    if network.labels is not None:
        labels = repr(network.plain_labels())
        yield f"CLASSES = {labels if pure else f'np.array({labels})'}"
    if weights is not None:
        yield f"with np.load(Path(__file__).with_name({weights.name!r})) as _file:"
        for name in ("coefs", "intercepts"):
            names = [f"{name}_{layer}" for layer in range(len(network.coefs))]
            yield f"    {name.upper()} = [_file[name] for name in {names!r}]"
        return
    for name, arrays in (("COEFS", network.coefs), ("INTERCEPTS", network.intercepts)):
        yield f"{name} = ["
        for array in arrays:
            numbers = _numbers(array.tolist())
            yield f"    {numbers}," if pure else f'    np.array({numbers}, dtype="{array.dtype}"),'
        yield "]"


def _numbers(values: list[Any]) -> str:
    """Return numbers, or rows of them, as Python writes them: the shortest that are exact."""
    if not isinstance(values[0], list):
        return repr(values)
    rows = ",\n        ".join(map(repr, values))
    return f"[\n        {rows},\n    ]"
