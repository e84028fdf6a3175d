"""Kernels for one small network each (`kernels/registers.py`), compiled beside its training.

Such a kernel takes 0.3 s to compile, once if it can be cached, and saves 0.15 us a sample. So it
pays from two million samples on. A thread of its own compiles it, which nobody waits for, once so
many samples were trained on that there may well be as many more. Until it is there, training goes
on as before, with the same bits.
"""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnet import kernels

from .losses import Loss
from .network import Network

# Samples of one network from which on its kernel is compiled; those take about as long.
MANY_SAMPLES = 1_000_000


@dataclass
class _Candidate:
    """What is known of a kernel: how many samples would have been its, and if it is there."""

    n_samples: int = 0
    thread: threading.Thread | None = None
    kernel: Any = None
    has_failed: bool = False


_candidates: dict[Any, _Candidate] = {}


def kernel_for(network: Network, loss: Loss, X: Any, Y: Any, n_samples: int) -> Any:
    """Return a network's kernel, or None while there is none; `n_samples` are to be trained on."""
    candidate = _candidates.setdefault((network, loss.code), _Candidate())
    if candidate.kernel is None:
        candidate.n_samples += n_samples
        if (
            candidate.n_samples >= MANY_SAMPLES
            and not candidate.has_failed
            and not _is_alive(candidate)
        ):
            _begin(candidate, network, loss, X[:1], Y[:1])
    return candidate.kernel


def wait() -> None:
    """Wait until no kernel is being compiled: for tests and benchmarks."""
    for candidate in _candidates.values():
        if candidate.thread is not None:
            candidate.thread.join()


def _is_alive(candidate: _Candidate) -> bool:
    """Return whether a kernel is being compiled; in a forked child none is."""
    return candidate.thread is not None and candidate.thread.is_alive()


def _begin(candidate: _Candidate, network: Network, loss: Loss, X: Any, Y: Any) -> None:
    def compile_there() -> None:
        try:
            kernel = kernels.descent_kernel(network.sizes, network.fit_intercept, loss.code)
            params = np.zeros(network.n_parameters, network.dtype)
            kernel(
                X, Y, np.zeros(1, np.int64), 0, 1, params, kernels.hyper_vector(0, 0), np.zeros(1)
            )
            candidate.kernel = kernel
        except Exception:
            # Training goes on without.
            candidate.has_failed = True

    candidate.thread = threading.Thread(target=compile_there, name="fastnet compiles")
    try:
        candidate.thread.start()
    except RuntimeError:
        # The interpreter ends, or there are too many threads.
        candidate.thread = None
