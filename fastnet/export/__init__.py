"""Fitted networks in other forms: ONNX, C, Python without fastnet, and functions for numba."""

from ._c import to_c
from ._numba import to_numba
from ._onnx import to_onnx
from ._python import to_python
from ._skl2onnx import register_skl2onnx

__all__ = ["register_skl2onnx", "to_c", "to_numba", "to_onnx", "to_python"]
