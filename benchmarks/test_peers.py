"""The peers compute what the numpy baseline does; nothing is timed here."""

from itertools import product

import pytest

from .checks import assert_close, check_epoch
from .compare import PREDICTORS, TRAINERS
from .machine import N_THREADS
from .peers import Contender, Peer, Predictor, peer_numpy
from .workloads import DTYPES, WORKLOADS, Workload, make_problem


def _skip_unless_available(peer: Peer) -> None:
    reason = peer.available()
    if reason is not None:
        pytest.skip(reason)


@pytest.mark.parametrize("peer", TRAINERS, ids=lambda peer: peer.NAME)
def test_epoch_agrees(peer: Contender) -> None:
    """The same weights after an epoch, for every workload that the peer can do."""
    _skip_unless_available(peer)
    for workload, dtype in product(WORKLOADS, DTYPES):
        if peer.unsupported(workload) is None:
            check_epoch(peer, make_problem(workload.shortened(), dtype), N_THREADS)


@pytest.mark.parametrize("peer", PREDICTORS, ids=lambda peer: peer.NAME)
@pytest.mark.parametrize("sizes", [(28, 64, 1), (28, 64, 10)], ids=["binary", "softmax"])
def test_prediction_agrees(peer: Predictor, sizes: tuple[int, ...]) -> None:
    """The same probabilities; of two classes, some peers return the second only."""
    _skip_unless_available(peer)
    problem = make_problem(Workload(sizes, batch_size=1, n_rows=1_000), "float32")
    expected = peer_numpy.make_prediction(problem, N_THREADS)()
    actual = peer.make_prediction(problem, N_THREADS)()
    assert_close(actual, expected[:, -actual.shape[1] :], problem.dtype)
