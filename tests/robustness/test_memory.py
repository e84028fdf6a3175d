"""Memory that a fit takes beside its samples, of which none is copied."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnet import SigmoidMLPClassifier, _fit
from fastnet._engine.trainer import Trainer

# A number of epochs is asked for, and noise teaches nothing.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.thorough,
]

PARAMETERS: dict[str, dict[str, Any]] = {
    "adam": {"solver": "adam"},
    "momentum": {"solver": "sgd"},
    "per sample": {"solver": "sgd", "momentum": 0.0, "batch_size": 1},
    "large batches": {"solver": "sgd", "batch_size": 5000},
    "full batch": {"solver": "rprop"},
}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return 20,000 x 2,000 numbers in a file: 160 MB."""
    return numbers(tmp_path_factory.mktemp("wide"), 20_000, 2_000)


def numbers(folder: Path, n_samples: int, n_features: int) -> Any:
    """Write random numbers of single precision; return them as a map that is read only."""
    rng = np.random.default_rng(0)
    with (folder / "X").open("wb") as file:
        for part in np.array_split(np.arange(n_samples), 20):
            file.write(rng.standard_normal((len(part), n_features), np.float32).tobytes())
    return np.memmap(folder / "X", np.float32, "r", shape=(n_samples, n_features))


class Kept(Trainer):
    """Can be looked at when the fit is over."""

    last: Trainer

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        type(self).last = self


def peak_of_fit(X: Any, y: Any, **parameters: Any) -> int:
    """Return the most that a fit has allocated at a time, as numpy and Python tell."""
    # On one thread: whether another is worth its while, and a kernel is compiled, is a
    # matter of how busy the machine is. The first fit loads what is compiled.
    parameters |= {"n_jobs": 1, "random_state": 0}
    SigmoidMLPClassifier(max_iter=2, **parameters).fit(X, y)
    model = SigmoidMLPClassifier(max_iter=3, **parameters)
    tracemalloc.start()
    try:
        model.fit(X, y)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
def test_a_fit_takes_what_its_parts_take(wide, parameters, monkeypatch):
    """At most a fifth more than what has to be there, all at once.

    That is: parameters, state of the solver, gradient; a checkpoint of the first two, to go
    back to; the workspace of a mini-batch; and the order of the samples. Not in it, so part
    of the fifth: targets (a byte each), initial weights as drawn, and all that is transient.
    """
    monkeypatch.setattr(_fit, "Trainer", Kept)
    y = np.random.default_rng(0).integers(0, 2, len(wide))
    peak = peak_of_fit(wide, y, hidden_layer_sizes=(100,), **parameters)
    trainer = Kept.last
    weights, state = trainer.params.nbytes, trainer.solver.state.nbytes
    assert weights == 4 * (2001 * 100 + 101)
    parts = {
        "parameters": weights,
        "state": state,
        "gradient": trainer._grad.nbytes,
        "checkpoint": weights + state,
        "workspace": trainer._panels.nbytes,
        "order": trainer.data.rows.nbytes,
    }
    assert np.shares_memory(trainer.data.features.X, wide)
    total = sum(parts.values())
    assert peak < 1.2 * total, f"{peak / total:.2f} times the sum of {parts}"


def test_a_million_samples_are_not_copied(tmp_path):
    """Two million samples of 8 features, 64 MB; their order and targets are 18."""
    X = numbers(tmp_path, 2_000_000, 8)
    y = np.random.default_rng(0).integers(0, 2, len(X))
    peak = peak_of_fit(X, y, hidden_layer_sizes=(8,))
    print(f"2,000,000 x 8: {peak / 1e6:.2f} MB at the most")
    assert peak < X.nbytes / 2
