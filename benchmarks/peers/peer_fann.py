"""FANN, the C library, called through ctypes: incremental training, a sample at a time.

FANN has no cross-entropy. It minimises squared errors whichever loss a workload names,
and is checked against squared error; the work is the same but for one multiplication.
"""

import ctypes
import ctypes.util
import functools
import math
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..workloads import LEARNING_RATE, Problem, Weights, Workload
from . import SEED

NAME = "FANN"
SAME_SHUFFLE = False

_LIBRARIES = {"float32": "floatfann", "float64": "doublefann"}
# From fann_data.h and fann_train.h.
_TRAIN_INCREMENTAL = 0
_ERRORFUNC_LINEAR = 0
_SIGMOID = 3


def available() -> str | None:
    """Return why it cannot run here, or None where it can."""
    missing = [name for name in _LIBRARIES.values() if ctypes.util.find_library(name) is None]
    return f"{' and '.join(missing)} not found (apt-get install libfann-dev)" if missing else None


def unsupported(workload: Workload) -> str | None:
    """Return why it cannot do this work, or None where it can."""
    return None if workload.batch_size == 1 else "no mini-batches"


class _TrainData(ctypes.Structure):
    """The head of ``struct fann_train_data``, down to the rows."""

    _fields_ = (
        ("errno_f", ctypes.c_int),
        ("error_log", ctypes.c_void_p),
        ("errstr", ctypes.c_char_p),
        ("num_data", ctypes.c_uint),
        ("num_input", ctypes.c_uint),
        ("num_output", ctypes.c_uint),
        ("input", ctypes.POINTER(ctypes.c_void_p)),
        ("output", ctypes.POINTER(ctypes.c_void_p)),
    )


@functools.cache
def _library(dtype: str) -> Any:
    library = ctypes.CDLL(ctypes.util.find_library(_LIBRARIES[dtype]))
    real = {"float32": ctypes.c_float, "float64": ctypes.c_double}[dtype]
    network, data = ctypes.c_void_p, ctypes.POINTER(_TrainData)
    library.fann_create_standard_array.restype = network
    library.fann_create_train.restype = data
    library.fann_train_epoch.restype = ctypes.c_float
    for name, *arguments in (
        ("fann_create_standard_array", ctypes.c_uint, ctypes.POINTER(ctypes.c_uint)),
        ("fann_create_train", ctypes.c_uint, ctypes.c_uint, ctypes.c_uint),
        ("fann_destroy", network),
        ("fann_destroy_train", data),
        ("fann_get_connection_array", network, ctypes.c_void_p),
        ("fann_set_weight_array", network, ctypes.c_void_p, ctypes.c_uint),
        ("fann_set_activation_function_hidden", network, ctypes.c_int),
        ("fann_set_activation_function_output", network, ctypes.c_int),
        ("fann_set_activation_steepness_hidden", network, real),
        ("fann_set_activation_steepness_output", network, real),
        ("fann_set_training_algorithm", network, ctypes.c_int),
        ("fann_set_train_error_function", network, ctypes.c_int),
        ("fann_set_learning_rate", network, ctypes.c_float),
        ("fann_set_learning_momentum", network, ctypes.c_float),
        ("fann_shuffle_train_data", data),
        ("fann_train_epoch", network, data),
    ):
        getattr(library, name).argtypes = arguments
    return library


class _Epoch:
    def __init__(self, problem: Problem, shuffle: bool) -> None:
        self.problem = problem.with_loss("squared_error")
        self.sizes = problem.workload.sizes
        # A layer's connections: neuron by neuron, its inputs in order, its bias last.
        self.shapes = [(fan_out, fan_in + 1) for fan_in, fan_out in pairwise(self.sizes)]
        self.dtype = problem.dtype
        self.shuffle = shuffle
        self.library = _library(self.dtype.name)
        self.network = self._create_network()
        self.data = self._create_data(problem)
        self._set_weights(problem.start)

    def __del__(self) -> None:
        self.library.fann_destroy_train(self.data)
        self.library.fann_destroy(self.network)

    def __call__(self) -> None:
        if self.shuffle:
            self.library.fann_shuffle_train_data(self.data)
        self.library.fann_train_epoch(self.network, self.data)

    def _create_network(self) -> Any:
        library = self.library
        sizes = (ctypes.c_uint * len(self.sizes))(*self.sizes)
        network = library.fann_create_standard_array(len(sizes), sizes)
        library.fann_set_training_algorithm(network, _TRAIN_INCREMENTAL)
        library.fann_set_train_error_function(network, _ERRORFUNC_LINEAR)
        # FANN leaves the 2 out of the derivative of a square.
        library.fann_set_learning_rate(network, 2 * LEARNING_RATE)
        library.fann_set_learning_momentum(network, 0)
        for layers in ("hidden", "output"):
            getattr(library, f"fann_set_activation_function_{layers}")(network, _SIGMOID)
            # FANN's sigmoid is 1 / (1 + exp(-2 * steepness * z)).
            getattr(library, f"fann_set_activation_steepness_{layers}")(network, 0.5)
        return network

    def _create_data(self, problem: Problem) -> Any:
        rows = problem.X, problem.targets.astype(self.dtype)
        shape = len(rows[0]), self.sizes[0], self.sizes[-1]
        data = self.library.fann_create_train(*shape)
        # The rows of each array are parts of one block.
        for pointers, values in zip((data[0].input, data[0].output), rows, strict=True):
            ctypes.memmove(pointers[0], values.ctypes.data, values.nbytes)
        return data

    def _connections(self) -> Any:
        """Return all connections, as an array of ``struct fann_connection``."""
        kind = np.dtype([("from", "u4"), ("to", "u4"), ("weight", self.dtype)], align=True)
        connections = np.zeros(sum(map(math.prod, self.shapes)), kind)
        self.library.fann_get_connection_array(self.network, connections.ctypes.data)
        return connections

    def _set_weights(self, weights: Weights) -> None:
        connections = self._connections()
        connections["weight"] = np.concatenate(
            [np.column_stack([coef.T, bias]).ravel() for coef, bias in zip(*weights, strict=True)]
        )
        self.library.fann_set_weight_array(self.network, connections.ctypes.data, len(connections))

    def weights(self) -> Weights:
        ends = list(accumulate(map(math.prod, self.shapes)))
        parts = np.split(self._connections()["weight"], ends[:-1])
        matrices = [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return Weights([m[:, :-1].T for m in matrices], [m[:, -1] for m in matrices])


def make_epoch(problem: Problem, n_threads: int, *, shuffle: bool) -> _Epoch:
    """Prepare training from the problem's initial weights, on one thread."""
    ctypes.CDLL(None).srand(SEED)
    return _Epoch(problem, shuffle)
