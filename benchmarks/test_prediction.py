"""predict_proba, by the estimator's public method: validation of X included."""

from collections.abc import Callable

import pytest

from . import fastnet_entry
from .checks import assert_close
from .conftest import Race
from .machine import N_THREADS
from .peers import Predictor, peer_numpy, peer_sklearn
from .workloads import DTYPES, Problem, Workload

CONTENDERS: dict[str, Predictor] = {
    module.NAME: module for module in (fastnet_entry, peer_numpy, peer_sklearn)
}
NETWORKS = ((28, 64, 1), (784, 128, 10))


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_rows", [1, 10, 100, 100_000])
@pytest.mark.parametrize("sizes", NETWORKS, ids=lambda sizes: "-".join(map(str, sizes)))
def test_predict_proba(
    race: Race,
    make: Callable[[Workload, str], Problem],
    sizes: tuple[int, ...],
    n_rows: int,
    dtype: str,
    contender: str,
) -> None:
    """One row, where calls cost most; a few; as many as fill the caches."""
    problem = make(Workload(sizes, batch_size=1, n_rows=n_rows), dtype)
    calls = {
        name: module.make_prediction(problem, N_THREADS) for name, module in CONTENDERS.items()
    }
    assert_close(calls[contender](), calls["numpy"](), dtype)
    network = "-".join(map(str, sizes))
    race(
        f"predict_proba: {network}, {n_rows:,} at a time, {dtype}",
        contender,
        calls,
        network=network,
        n_rows=n_rows,
        dtype=dtype,
    )
