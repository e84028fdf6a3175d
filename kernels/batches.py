"""Mini-batches one after the other, each in super-blocks: where a call that trains stands.

A call may go on for several epochs. Their orders stand one after the other in `order`, and
`total_loss` has an element for each; no mini-batch is of two epochs.
"""

from typing import Any

from ._jit import device
from .claims import JOB, N_TRAINED
from .loss import total_weight

# In `claims`: the mini-batch, and of it the super-block that a phase is about.
FIRST = JOB
N_BATCH = JOB + 1
START = JOB + 2
N_SAMPLES = JOB + 3
BEGINS = JOB + 4
ENDS = JOB + 5
# The epoch, counted in `order`, and its samples.
EPOCH = JOB + 6
EPOCH_SIZE = JOB + 7
SIZE = 8

# In `step`: the sum of the mini-batch's weights, and of its losses so far.
BATCH_WEIGHT = 0
BATCH_LOSS = 1
STEP_SIZE = 2


@device
def begin(order: Any, total_loss: Any, first_sample: int, last_sample: int, claims: Any) -> None:
    """Stand before the first mini-batch."""
    claims[EPOCH_SIZE] = order.size // total_loss.size
    claims[EPOCH] = first_sample // claims[EPOCH_SIZE]
    claims[START] = first_sample
    claims[N_SAMPLES] = 0
    claims[ENDS] = 1
    claims[N_TRAINED] = last_sample - first_sample


@device
def stop(first_sample: int, claims: Any) -> None:
    """Say that training ended before this mini-batch."""
    claims[N_TRAINED] = claims[FIRST] - first_sample


@device
def first_of_epoch(claims: Any) -> int:
    """Return how many samples of the epoch come before this mini-batch."""
    return claims[FIRST] - claims[EPOCH] * claims[EPOCH_SIZE]


@device
def advance(
    weights: Any, order: Any, last_sample: int, batch_size: int, super_block: int,
    step: Any, claims: Any,
) -> bool:  # fmt: skip
    """Go on to the next super-block, and return whether there is one.

    A mini-batch whose weights add up to 0 is passed over.
    """
    start = claims[START] + claims[N_SAMPLES]
    if claims[ENDS] == 1:
        weight = 0.0
        n_batch = 0
        while weight == 0.0:
            start += n_batch
            if start == last_sample:
                return False
            end = (claims[EPOCH] + 1) * claims[EPOCH_SIZE]
            if start == end:
                claims[EPOCH] += 1
                end += claims[EPOCH_SIZE]
            n_batch = min(batch_size, min(end, last_sample) - start)
            weight = total_weight(weights, order, start, n_batch)
        claims[FIRST] = start
        claims[N_BATCH] = n_batch
        step[BATCH_WEIGHT] = weight
        step[BATCH_LOSS] = 0.0
    end = claims[FIRST] + claims[N_BATCH]
    claims[START] = start
    claims[N_SAMPLES] = min(super_block, end - start)
    claims[BEGINS] = start == claims[FIRST]
    claims[ENDS] = start + claims[N_SAMPLES] == end
    return True
