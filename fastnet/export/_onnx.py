"""Networks in ONNX: for onnxruntime and whatever else reads it."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ._extras import require
from ._network import FittedNetwork

# onnx.TensorProto.INT64
_INT64 = 7


class Graph(Protocol):
    """A graph that is being built."""

    def constant(self, name: str, value: Any) -> str:
        """Add a constant tensor, and return its name in the graph."""
        ...

    def node(
        self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any
    ) -> str:
        """Add an operation with one output, and return the name of that."""
        ...


def to_onnx(model: Any, *, opset: int = 17) -> Any:
    """Return a fitted network as a model of ONNX.

    Its input is ``X``, rows of float32 or float64 as the network is, any number of them. Of a
    classifier, the outputs are ``label`` and ``probabilities``, of a regressor ``variable``, of
    shape (n_samples, n_targets): the names that skl2onnx gives them. All operators are of ONNX's
    main set.

    Parameters
    ----------
    model : SigmoidMLPClassifier, SigmoidMLPRegressor or Pipeline
        A fitted model. Of a pipeline, scalers and PCA are folded into the weights of the first
        layer, as `Predictor` does. Pipelines with other steps go through skl2onnx: see
        `register_skl2onnx`.
    opset : int, default=17
        The version of ONNX's operators, 13 or later.

    Returns
    -------
    onnx_model : onnx.ModelProto
        The model; ``onnx.save(onnx_model, path)`` writes it to a file.

    Raises
    ------
    ImportError
        If the package onnx is not installed, which the extra ``onnx`` brings.
    TypeError
        If `model` is something else, or a step cannot be folded.
    ValueError
        If `opset` is below 13 or not known to the onnx that is installed, or labels are neither
        text nor integers, booleans or floats.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.
    """
    onnx = require("onnx", "onnx")
    newest = onnx.defs.onnx_opset_version()
    if not 13 <= opset <= newest:
        raise ValueError(f"opset must be from 13 to {newest}, got {opset}.")
    network = FittedNetwork.of(model)
    graph = _OnnxGraph(onnx)
    kinds = outputs_of(network)
    emit(network, graph, "X", list(kinds))
    helper = onnx.helper
    numbers = helper.np_dtype_to_tensor_dtype(network.dtype)
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(kind), shape)
        for name, (kind, shape) in kinds.items()
    ]
    rows = helper.make_tensor_value_info("X", numbers, [None, network.n_features])
    body = helper.make_graph(graph.nodes, "fastnet", [rows], infos, graph.constants)
    made = helper.make_model(
        body,
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
        producer_name="fastnet",
        doc_string=network.title,
    )
    onnx.checker.check_model(made, full_check=True)
    return made


class _OnnxGraph:
    """Nodes and constants of a graph of onnx."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Any) -> str:
        tensor = self._onnx.numpy_helper.from_array(np.asarray(value), name)
        self.constants.append(tensor)
        return name

    def node(
        self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any
    ) -> str:
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        made = self._onnx.helper.make_node(kind, inputs, [output], name=output, **attributes)
        self.nodes.append(made)
        return output


def outputs_of(network: FittedNetwork) -> dict[str, tuple[np.dtype[Any], list[int | None]]]:
    """Return each output's dtype and shape, by its name."""
    values = network.dtype, [None, network.n_outputs]
    if not network.is_classifier:
        return {"variable": values}
    if network.labels is None:
        return {"label": (np.dtype(np.int64), [None, network.n_outputs]), "probabilities": values}
    return {"label": (_label_array(network).dtype, [None]), "probabilities": values}


def _label_array(network: FittedNetwork) -> np.ndarray[Any, Any]:
    """Return the labels as onnx has them: text is of Python's objects."""
    labels = network.plain_labels()
    return np.array(labels, object if isinstance(labels[0], str) else None)


def emit(
    network: FittedNetwork, graph: Graph, X: str, outputs: list[str], *, numbered: bool = False
) -> None:
    """Add a network to a graph.

    Parameters
    ----------
    network : FittedNetwork
        What to add.
    graph : Graph
        Where to.
    X : str
        The input, of the network's dtype.
    outputs : list of str
        Names of the outputs of `outputs_of`.
    numbered : bool, default=False
        Whether labels are the numbers of classes, and not the classes.
    """
    a = X
    last = len(network.coefs) - 1
    for layer, (coef, intercept) in enumerate(zip(network.coefs, network.intercepts, strict=True)):
        matrix = graph.constant(f"coefs_{layer}", coef)
        biases = graph.constant(f"intercepts_{layer}", intercept)
        a = graph.node("Gemm", [a, matrix, biases])
        if layer < last:
            a = graph.node("Sigmoid", [a])
    if network.is_classifier:
        _emit_labels(network, graph, a, outputs[0], numbered)
    _EMIT[network.output](graph, a, outputs[-1], network.dtype)


def _emit_labels(network: FittedNetwork, graph: Graph, z: str, label: str, numbered: bool) -> None:
    one_each = network.output in ("pair", "sigmoid")
    if one_each:
        zero = graph.constant("zero", np.zeros(1, network.dtype))
        number = graph.node("Greater", [z, zero])
        if network.labels is None:
            graph.node("Cast", [number], label, to=_INT64)
            return
        flat = graph.constant("flat", np.array([-1]))
        number = graph.node("Reshape", [graph.node("Cast", [number], to=_INT64), flat])
    else:
        number = graph.node("ArgMax", [z], axis=1, keepdims=0)
    if numbered:
        graph.node("Identity", [number], label)
        return
    classes = graph.constant("classes", _label_array(network))
    graph.node("Gather", [classes, number], label)


def _emit_pair(graph: Graph, z: str, output: str, dtype: Any) -> None:
    both = graph.node("Concat", [graph.node("Neg", [z]), z], axis=1)
    graph.node("Sigmoid", [both], output)


def _emit_softmax(graph: Graph, z: str, output: str, dtype: Any) -> None:
    graph.node("Softmax", [z], output, axis=1)


def _emit_normalised(graph: Graph, z: str, output: str, dtype: Any) -> None:
    """Add sigmoids divided by their sum, as the softmax of their logarithms.

    Of logits far below 0 the sigmoids themselves are 0. The logarithm is
    ``min(z, 0) - log(1 + exp(-|z|))``.
    """
    zero, one = (graph.constant(f"number_{i}", np.array([i], dtype)) for i in (0, 1))
    small = graph.node("Exp", [graph.node("Neg", [graph.node("Abs", [z])])])
    rest = graph.node("Log", [graph.node("Add", [small, one])])
    log_p = graph.node("Sub", [graph.node("Min", [z, zero]), rest])
    graph.node("Softmax", [log_p], output, axis=1)


_EMIT: dict[str, Callable[[Graph, str, str, Any], Any]] = {
    "pair": _emit_pair,
    "sigmoid": lambda graph, z, output, dtype: graph.node("Sigmoid", [z], output),
    "softmax": _emit_softmax,
    "normalised": _emit_normalised,
    "identity": lambda graph, z, output, dtype: graph.node("Identity", [z], output),
    "exp": lambda graph, z, output, dtype: graph.node("Exp", [z], output),
}
