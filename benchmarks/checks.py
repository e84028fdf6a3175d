"""Equal results first: what must hold before anything is timed."""

from typing import Any

import numpy as np

from .peers import Contender, peer_numpy
from .workloads import Problem

# An epoch may be tens of thousands of steps; each rounds.
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def assert_close(actual: Any, expected: Any, dtype: Any) -> None:
    """Raise unless arrays are equal to rounding, relative to their largest element."""
    expected = np.asarray(expected)
    tolerance = TOLERANCE[np.dtype(dtype).name]
    np.testing.assert_allclose(
        actual, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max()
    )


def check_epoch(contender: Contender, problem: Problem, n_threads: int) -> None:
    """Raise unless an epoch leaves the weights that the numpy baseline's leaves.

    Who cannot shuffle as the baseline does is checked on the rows in their order.
    """
    shuffle = contender.SAME_SHUFFLE
    epoch = contender.make_epoch(problem, n_threads, shuffle=shuffle)
    baseline = peer_numpy.make_epoch(epoch.problem, n_threads, shuffle=shuffle)
    epoch()
    baseline()
    for layers, expected_layers in zip(epoch.weights(), baseline.weights(), strict=True):
        for actual, expected in zip(layers, expected_layers, strict=True):
            assert_close(actual, expected, problem.dtype)
