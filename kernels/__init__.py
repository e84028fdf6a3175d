"""The compiled kernels of fastnet; numpy and numba only.

What every kernel relies on, and none checks (there are no bounds checks, so a breach is
a crash): `fastnet` makes sure of it once, at its boundary.

- Arrays are C-contiguous and aligned; X, the samples' weights, the parameters, the
  gradient, the optimiser state and the workspace have one dtype, float32 or float64; Y is
  uint8, or of that dtype and finite for the losses of regression, and not negative for the
  deviance;
  plans and orders are int64; losses, hyper-parameters and powers are float64.
- Features are three arguments (`panel.py`). Dense, X has ``plan[0, FAN_IN]`` columns, and
  ``indices`` and ``indptr`` are None; sparse, they are a valid CSR matrix
  with as many columns and its indices sorted, of which X is the data as a column.
- ``plan`` comes from `plan_network` for these layer sizes and this width, and the
  workspace from `new_panels` for this plan; Y has ``plan[-1, FAN_OUT]`` columns, and
  ``weights`` an element a sample or none; the entries of ``order`` are rows of all, in training
  as many for each element of ``total_loss``, and at least ``last_sample``; `forward` writes its
  own, two for each sample that its workspace has room for.
- ``params`` and ``grad`` have ``count_parameters(plan)`` elements, ``grad`` as many for
  each block in `train_blocks`; ``state`` as many for momentum, twice as many for Adam and
  RPROP; ``squares`` has two elements a strip.
  Elements that pad the rows of a matrix (`row_stride`) are zero.
- Arguments ``claims``, ``first_worker`` and ``last_worker`` (`claims.py`): `claims` comes from
  `new_claims`, with the first phase of a kernel that has one only; workers are numbered from
  0, the caller, without whom a call does not end; each has its own part of the workspace;
  a phase has at most `MOST_BLOCKS` blocks, `zeros` is 0 before.
- A parallel form is called from Python only, with as many threads set as there are workers.
"""

from ._compile import COMPILER_LOCKS
from ._jit import Kernel
from ._notices import told_to
from ._places import CacheFolder, cache_folders, cache_state
from .blocks import train_blocks
from .claims import DONE, MOST_BLOCKS, N_TRAINED, TOTAL, end_claims, new_claims
from .dense import dense_backward, dense_forward, dense_gradient
from .epoch import STEP_SIZE, train_batches
from .forward import EXPONENTIAL, LOGITS, PAIR, SIGMOID, SOFTMAX, forward
from .input_gradients import input_gradients
from .intrinsics import on_stack
from .loss import (
    BINARY_LOG_LOSS,
    CATEGORICAL_LOG_LOSS,
    HALF_POISSON_DEVIANCE,
    HALF_SQUARED_ERROR,
    SQUARED_ERROR,
)
from .plan import (
    align,
    aligned_zeros,
    count_blocks,
    count_parameters,
    delta_rows,
    group_panels,
    min_panel_batch,
    new_panels,
    panel_lanes,
    plan_network,
    plan_strips,
    row_stride,
    share_panels,
    share_strips,
    super_block_panels,
    takes_entries,
)
from .registers import descent_kernel, fits_in_registers
from .row_forward import ON_STACK, forward_rows
from .rows import train_rows
from .sample_gradients import sample_gradients
from .shuffle import shuffle
from .sigmoid import sigmoid_backward, sigmoid_forward
from .update import ADAM, GRADIENT, MOMENTUM, NESTEROV, RPROP, SGD, hyper_vector

__all__ = [
    "ADAM",
    "BINARY_LOG_LOSS",
    "CATEGORICAL_LOG_LOSS",
    "COMPILER_LOCKS",
    "DONE",
    "EXPONENTIAL",
    "GRADIENT",
    "HALF_POISSON_DEVIANCE",
    "HALF_SQUARED_ERROR",
    "LOGITS",
    "MOMENTUM",
    "MOST_BLOCKS",
    "NESTEROV",
    "N_TRAINED",
    "ON_STACK",
    "PAIR",
    "RPROP",
    "SGD",
    "SIGMOID",
    "SOFTMAX",
    "SQUARED_ERROR",
    "STEP_SIZE",
    "TOTAL",
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
    "descent_kernel",
    "end_claims",
    "fits_in_registers",
    "forward",
    "forward_rows",
    "group_panels",
    "hyper_vector",
    "input_gradients",
    "min_panel_batch",
    "new_claims",
    "new_panels",
    "on_stack",
    "panel_lanes",
    "plan_network",
    "plan_strips",
    "row_stride",
    "sample_gradients",
    "share_panels",
    "share_strips",
    "shuffle",
    "sigmoid_backward",
    "sigmoid_forward",
    "super_block_panels",
    "takes_entries",
    "told_to",
    "train_batches",
    "train_blocks",
    "train_rows",
]
