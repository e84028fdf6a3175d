"""One epoch of gradient descent, shuffling included."""

from collections.abc import Callable

import pytest

from . import fastnet_entry
from .checks import check_epoch
from .conftest import Race
from .machine import N_THREADS
from .peers import Contender, peer_numpy, peer_sklearn
from .workloads import DTYPES, WORKLOADS, Problem, Workload

CONTENDERS: dict[str, Contender] = {
    module.NAME: module for module in (fastnet_entry, peer_numpy, peer_sklearn)
}


# A round of the slowest takes seconds; the ratios have more rounds.
@pytest.mark.benchmark(min_rounds=3)
@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_epoch(
    race: Race,
    make: Callable[[Workload, str], Problem],
    workload: Workload,
    dtype: str,
    contender: str,
) -> None:
    """The same weights afterwards, then the time."""
    reason = CONTENDERS[contender].unsupported(workload)
    if reason is not None:
        pytest.skip(reason)
    problem = make(workload, dtype)
    check_epoch(CONTENDERS[contender], problem, N_THREADS)
    race(
        f"epoch: {workload.name}, {dtype}",
        contender,
        {
            name: module.make_epoch(problem, N_THREADS, shuffle=True)
            for name, module in CONTENDERS.items()
            if module.unsupported(workload) is None
        },
        workload=workload.name,
        n_rows=problem.workload.n_rows,
        dtype=dtype,
    )
