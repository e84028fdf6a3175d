"""The estimators as steps of pipelines that skl2onnx converts."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._classifier import SigmoidMLPClassifier
from .._regressor import SigmoidMLPRegressor
from ._extras import require
from ._network import FittedNetwork
from ._onnx import emit


def register_skl2onnx() -> None:
    """Let skl2onnx convert pipelines that have one of fastnet's estimators among their steps.

    ``skl2onnx.to_onnx(pipeline, X[:1])`` then does. As everywhere in skl2onnx, a model for rows
    of float32 computes in float32, also where the network was trained in float64. A classifier
    has the options ``zipmap`` (False for probabilities as a matrix), ``nocl`` and
    ``output_class_labels``. To call this again changes nothing.

    Raises
    ------
    ImportError
        If the package skl2onnx is not installed, which the extra ``skl2onnx`` brings.

    See Also
    --------
    to_onnx : Without skl2onnx, for a network alone or behind scalers and PCA.
    """
    register = require("skl2onnx", "skl2onnx").update_registered_converter
    options = {
        "zipmap": [True, False, "columns"],
        "output_class_labels": [False, True],
        "nocl": [True, False],
    }
    register(
        SigmoidMLPClassifier, "FastnetSigmoidMLPClassifier", _set_types, _convert, options=options
    )
    register(SigmoidMLPRegressor, "FastnetSigmoidMLPRegressor", _set_types, _convert)


def _types() -> Any:
    return require("skl2onnx.common.data_types", "skl2onnx")


def _dtype_of(operator: Any) -> type[np.floating[Any]]:
    """Return what is computed with: float64 if that is given, else float32."""
    is_double = isinstance(operator.inputs[0].type, _types().DoubleTensorType)
    return np.float64 if is_double else np.float32


def _converted(operator: Any) -> FittedNetwork:
    """Return the network of the dtype that is computed with."""
    network = FittedNetwork.of(operator.raw_operator)
    dtype = _dtype_of(operator)
    labels = network.labels
    if labels is not None and labels.dtype.kind == "b":
        # As skl2onnx has them.
        labels = labels.astype(np.int64)
    return replace(
        network,
        coefs=[coef.astype(dtype) for coef in network.coefs],
        intercepts=[intercept.astype(dtype) for intercept in network.intercepts],
        labels=labels,
    )


def _set_types(operator: Any) -> None:
    """Set the types of the outputs."""
    types = _types()
    network = _converted(operator)
    n_rows = operator.inputs[0].get_first_dimension()
    numbers = types.FloatTensorType if network.is_single else types.DoubleTensorType
    operator.outputs[-1].set_type(numbers([n_rows, network.n_outputs]))
    if not network.is_classifier:
        return
    if network.labels is None:
        operator.outputs[0].set_type(types.Int64TensorType([n_rows, network.n_outputs]))
        return
    kinds = {str: types.StringTensorType, int: types.Int64TensorType, float: types.DoubleTensorType}
    kind = int if _has_numbers(operator) else type(network.plain_labels()[0])
    operator.outputs[0].set_type(kinds[kind]([n_rows]))


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Add the operator's nodes."""
    network = _converted(operator)
    graph = _ContainerGraph(scope, container)
    X = graph.node("Cast", [operator.inputs[0].full_name], to=graph.type_of(network.dtype))
    outputs = [output.full_name for output in operator.outputs]
    has_numbers = network.is_classifier and _has_numbers(operator)
    emit(network, graph, X, outputs, numbered=has_numbers)


def _has_numbers(operator: Any) -> bool:
    """Return whether labels are to be the numbers of a classifier's classes."""
    options = operator.scope_inst.get_options(operator.raw_operator, {"nocl": False})
    return bool(options["nocl"])


class _ContainerGraph:
    """Nodes and constants of a graph that skl2onnx builds, with names that are new in it."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope = scope
        self._container = container

    @staticmethod
    def type_of(dtype: npt.DTypeLike) -> int:
        """Return onnx's number of a dtype."""
        helper = require("onnx.helper", "onnx")
        return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def constant(self, name: str, value: Any) -> str:
        array = np.asarray(value)
        name = self._scope.get_unique_variable_name(name)
        values = array.ravel().tolist()
        if array.dtype.kind == "O":
            values = [text.encode() for text in values]
        self._container.add_initializer(name, self.type_of(array.dtype), array.shape, values)
        return name

    def node(
        self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any
    ) -> str:
        output = output or self._scope.get_unique_variable_name(kind.lower())
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, inputs, output, name=name, **attributes)
        return output
