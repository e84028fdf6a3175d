"""ONNX Runtime: prediction only."""

import importlib.util
from collections.abc import Callable
from typing import Any

from ..workloads import FloatArray, Problem

NAME = "onnxruntime"

# A version that every release of recent years reads.
_OPSET, _IR_VERSION = 13, 8


def available() -> str | None:
    """Return why it cannot run here, or None where it can."""
    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed" if missing else None


def _model(problem: Problem) -> bytes:
    """Build the graph ``Gemm, Sigmoid, ..., Gemm, Sigmoid or Softmax``."""
    from onnx import helper, numpy_helper

    nodes: list[Any] = []
    initializers: list[Any] = []
    value = "X"
    for layer, (coef, intercept) in enumerate(zip(*problem.start, strict=True)):
        names = [f"coef_{layer}", f"intercept_{layer}"]
        initializers += map(numpy_helper.from_array, (coef, intercept), names)
        is_softmax = layer == len(problem.start.coefs) - 1 and coef.shape[1] > 1
        nodes.append(helper.make_node("Gemm", [value, *names], [f"z_{layer}"]))
        value = f"a_{layer}"
        nodes.append(
            helper.make_node("Softmax" if is_softmax else "Sigmoid", [f"z_{layer}"], [value])
        )
    element = helper.np_dtype_to_tensor_dtype(problem.dtype)
    sizes = problem.workload.sizes
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("X", element, [None, sizes[0]])],
        [helper.make_tensor_value_info(value, element, [None, sizes[-1]])],
        initializers,
    )
    opset = helper.make_opsetid("", _OPSET)
    model: bytes = helper.make_model(
        graph, opset_imports=[opset], ir_version=_IR_VERSION
    ).SerializeToString()
    return model


def make_prediction(problem: Problem, n_threads: int) -> Callable[[], FloatArray]:
    """Prepare prediction of all rows, with the problem's initial weights.

    With one output it returns that alone, half of what ``predict_proba`` writes.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    session: Any = onnxruntime.InferenceSession(
        _model(problem), options, providers=["CPUExecutionProvider"]
    )

    def predict() -> FloatArray:
        output: FloatArray = session.run(None, {"X": problem.X})[0]
        return output

    return predict
