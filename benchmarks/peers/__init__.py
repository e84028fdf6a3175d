"""The peers: other libraries that train the same networks, one file for each.

Every file offers what `Contender` or `Predictor` says, or both, and fastnet's own entry
(`benchmarks.fastnet_entry`) does so as well; `benchmarks.compare` races whatever is
available. A peer is written as its users would write it for speed. The optional
requirements are in ``requirements.txt``; FANN comes from ``apt-get install libfann-dev``.
"""

from collections.abc import Callable
from typing import Protocol

from ..workloads import FloatArray, Problem, Weights, Workload


class Epoch(Protocol):
    """Training that goes on, in place, from epoch to epoch.

    Attributes
    ----------
    problem : Problem
        What is really trained: FANN replaces the loss.
    """

    problem: Problem

    def __call__(self) -> object:
        """Train for one epoch, shuffling included."""

    def weights(self) -> Weights:
        """Return the weights as they are now."""


class Peer(Protocol):
    """What every module of this package offers.

    Attributes
    ----------
    NAME : str
        How tables call it.
    """

    NAME: str

    def available(self) -> str | None:
        """Return why it cannot run here, or None where it can."""


class Contender(Peer, Protocol):
    """What a module that can train offers.

    Attributes
    ----------
    SAME_SHUFFLE : bool
        Whether it shuffles as ``RandomState(SEED).shuffle`` does, so that results can be
        compared with shuffling.
    """

    SAME_SHUFFLE: bool

    def unsupported(self, workload: Workload) -> str | None:
        """Return why it cannot do this work, or None where it can."""

    def make_epoch(self, problem: Problem, n_threads: int, *, shuffle: bool) -> Epoch:
        """Prepare training from the problem's initial weights."""


class Predictor(Peer, Protocol):
    """What a module that can predict offers."""

    def make_prediction(self, problem: Problem, n_threads: int) -> Callable[[], FloatArray]:
        """Prepare ``predict_proba`` of all rows, with the problem's initial weights."""


# Seed of everybody's shuffling.
SEED = 0
