"""The program of test_taking_part.py: calls in which every worker does a block at the least.

    python -m tests.kernels.taking_part threads|numba

Its kernels count each worker's blocks. With its first one, a worker waits until all have one.
Workers are Python threads that call the serial form, as in fits and predictions, or numba's,
in the parallel form. Prints numba's layer. A worker that is missing is a time-out.
"""

import sys

import numba
import numpy as np
from numpy.testing import assert_array_equal

from fastnet import kernels
from fastnet.kernels import _jit, blocks, claims, epoch, forward

from .._support import training
from .._support.workers import FromThreads
from . import test_forward

COUNTS = claims.SIZE
PRESENT = COUNTS + 16
EXPECTED = PRESENT + 16
NUMBERS_OF_WORKERS = (1, 2, 3, 7)

claim = claims.claim


@_jit.device
def counted(shared, worker):
    block = claim(shared, worker)
    if block >= 0:
        shared[COUNTS + worker] += 1
        if shared[COUNTS + worker] == 1:
            claims.atomic_add(shared, PRESENT, 1)
            while claims.atomic_load(shared, PRESENT) < shared[EXPECTED]:
                claims.pause()
    return block


class Sharing:
    """Makes claims with room to count in, and keeps the last."""

    def __init__(self):
        self.n_workers = 1
        self.claims = None

    def new_claims(self, n_blocks=0):
        self.claims = np.zeros(EXPECTED + 16, np.int64)
        self.claims[:COUNTS] = kernels.new_claims(n_blocks)
        self.claims[claims.PATIENCE] = 1 << 50
        self.claims[EXPECTED] = self.n_workers
        return self.claims

    def check(self):
        counts = self.claims[COUNTS : COUNTS + 16]
        assert np.all(counts[: self.n_workers] > 0), counts
        assert counts.sum() == self.claims[claims.DONE] == self.claims[claims.TOTAL]


def train(way, form, n_workers):
    # Blocks enough for each of 7 to have one.
    more = {"n_blocks": 8} if way is training.BLOCKS else {}
    arguments = training.problem(
        (41, 33, 3), np.float32, n_samples=1100, batch_size=1000, solver=kernels.ADAM
    )
    result = training.trained(form, way.layout(arguments, n_workers, **more))
    return np.concatenate([result["params"], result["state"], result["total_loss"]])


def predict(form, n_workers):
    plan, params, X = test_forward.draw((41, 33, 3), True, 1100, np.float32)
    return test_forward.run(form, plan, params, X, kernels.SIGMOID, 0, n_workers)


CALLS = {
    "threads": {
        kernels.train_batches: lambda *how: train(training.PANELS, *how),
        kernels.train_blocks: lambda *how: train(training.BLOCKS, *how),
        kernels.forward: predict,
    },
    # A minute of compiling saved: tests of each kernel have the bits of its parallel form.
    "numba": {kernels.forward: predict},
}


def main(whose):
    for module in (claims, epoch, blocks, sys.modules[forward.serial.__module__]):
        module.claim = counted
    sharing = Sharing()
    training.new_claims = test_forward.new_claims = sharing.new_claims
    for kernel, call in CALLS[whose].items():
        form = FromThreads(kernel.serial) if whose == "threads" else kernel.parallel
        getattr(kernel, "serial" if whose == "threads" else "parallel")._cache.disable()
        expected = None
        for n_workers in NUMBERS_OF_WORKERS:
            sharing.n_workers = n_workers
            numba.set_num_threads(n_workers)
            result = call(form, n_workers)
            sharing.check()
            expected = result if expected is None else expected
            assert_array_equal(result, expected)
    print(numba.threading_layer() if whose == "numba" else "threads")


if __name__ == "__main__":
    main(*sys.argv[1:])
