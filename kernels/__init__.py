"""The compiled kernels of fastnet; numpy and numba only.

What every kernel relies on, and none checks (there are no bounds checks, so a breach is
a crash): `fastnet` makes sure of it once, at its boundary.

- Arrays are C-contiguous and aligned; X, the samples' weights, the parameters, the
  gradient, the optimiser state and the workspace have one dtype, float32 or float64; Y is
  uint8; plans and orders are int64; losses, hyper-parameters and powers are float64.
- Features are three arguments (`panel.py`). Dense, X has ``plan[0, FAN_IN]`` columns, and
  ``indices`` and ``indptr`` are None; sparse, they are a valid CSR matrix
  with as many columns and its indices sorted, of which X is the data as a column.
- ``plan`` comes from `plan_network` for these layer sizes and this width, and the
  workspace from `new_panels` for this plan; Y has ``plan[-1, FAN_OUT]`` columns, and
  ``weights`` an element a sample or none; the entries of ``order`` are rows of all, at least
  ``last_sample`` of them in training; `forward` writes ``2 * n_threads * lanes`` of its own.
- ``params`` and ``grad`` have ``count_parameters(plan)`` elements, ``grad`` as many for
  each block in `train_blocks`; ``state`` as many for momentum, twice as many for Adam and
  RPROP; ``squares`` has two elements a strip.
  Elements that pad the rows of a matrix (`row_stride`) are zero.
- A parallel kernel is called from Python only, with `n_threads` threads set.
"""

from ._cache import CacheFolder, cache_folders, cache_state
from ._compile import COMPILER_LOCKS
from ._jit import Kernel
from .blocks import train_blocks
from .dense import dense_backward, dense_forward, dense_gradient
from .epoch import train_batches
from .forward import LOGITS, PAIR, SIGMOID, SOFTMAX, forward
from .input_gradients import input_gradients
from .loss import BINARY_LOG_LOSS, CATEGORICAL_LOG_LOSS, SQUARED_ERROR
from .plan import (
    align,
    aligned_zeros,
    count_blocks,
    count_parameters,
    delta_rows,
    new_panels,
    panel_lanes,
    plan_network,
    plan_strips,
    row_stride,
    share_strips,
    super_block_panels,
    takes_entries,
)
from .rows import MIN_PANEL_BATCH, train_rows
from .sample_gradients import sample_gradients
from .shuffle import shuffle
from .sigmoid import sigmoid_backward, sigmoid_forward
from .update import ADAM, GRADIENT, MOMENTUM, NESTEROV, RPROP, SGD, hyper_vector

__all__ = [
    "ADAM",
    "BINARY_LOG_LOSS",
    "CATEGORICAL_LOG_LOSS",
    "COMPILER_LOCKS",
    "GRADIENT",
    "LOGITS",
    "MIN_PANEL_BATCH",
    "MOMENTUM",
    "NESTEROV",
    "PAIR",
    "RPROP",
    "SGD",
    "SIGMOID",
    "SOFTMAX",
    "SQUARED_ERROR",
    "CacheFolder",
    "Kernel",
    "align",
    "aligned_zeros",
    "cache_folders",
    "cache_state",
    "count_blocks",
    "count_parameters",
    "delta_rows",
    "dense_backward",
    "dense_forward",
    "dense_gradient",
    "forward",
    "hyper_vector",
    "input_gradients",
    "new_panels",
    "panel_lanes",
    "plan_network",
    "plan_strips",
    "row_stride",
    "sample_gradients",
    "share_strips",
    "shuffle",
    "sigmoid_backward",
    "sigmoid_forward",
    "super_block_panels",
    "takes_entries",
    "train_batches",
    "train_blocks",
    "train_rows",
]
