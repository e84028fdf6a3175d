"""Work drawn at random from what people use, the defaults most often.

A draw follows from its seed and its number alone, and its name begins with both: any of
them can be repeated by name.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self

import numpy as np
from scipy import sparse

from .workloads import Workload, make_problem

# What scikit-learn's fit may take, by an estimate.
FIT_SECONDS = 0.4
# Of that estimate: a core's products, a step's calls of Python's, an element of Adam's step.
_FLOPS_PER_SECOND = 5e10
_STEP_SECONDS = 3e-4
_ELEMENT_SECONDS = 1e-8
# The default of max_iter; and L-BFGS drifts, because it turns rounding into other steps.
MOST_EPOCHS = 200
MOST_ITERATIONS = 30
FEW_ROWS = 50


@dataclass(frozen=True)
class Draw:
    """A network, its data, and how it is trained.

    Attributes
    ----------
    seed, index : int
        What it was drawn from.
    hidden : tuple of int
        Units of each hidden layer.
    n_features, n_classes : int
        Columns of X, and labels.
    solver : {"adam", "sgd", "lbfgs"}
        Of both estimators.
    batch_size : int or "auto"
        Samples of a mini-batch.
    dtype : {"float32", "float64"}
        Of X.
    density : float or None
        Share of X that is not zero, if it is sparse.
    n_fit, n_predict : int
        Rows of a fit and of a prediction.
    most_epochs : int
        However little they take.
    """

    seed: int
    index: int
    hidden: tuple[int, ...]
    n_features: int
    n_classes: int
    solver: str
    batch_size: int | str
    dtype: str
    density: float | None
    n_fit: int
    n_predict: int
    most_epochs: int = MOST_EPOCHS

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of every layer; two classes have one output."""
        return self.n_features, *self.hidden, self.n_classes if self.n_classes > 2 else 1

    @property
    def name(self) -> str:
        """The draw in words."""
        batch = "" if self.solver == "lbfgs" else f" b{self.batch_size}"
        kind = "" if self.density is None else f" sparse {self.density:.2g}"
        return (
            f"{self.seed}/{self.index} {'-'.join(map(str, self.sizes))} {self.solver}{batch}"
            f" {self.dtype}{kind}, {self.n_fit:,} and {self.n_predict:,} rows"
        )

    @property
    def n_epochs(self) -> int:
        """As many as scikit-learn manages in `FIT_SECONDS`, and no more than people ask for."""
        most = min(self.most_epochs, MOST_ITERATIONS if self.solver == "lbfgs" else MOST_EPOCHS)
        return int(np.clip(FIT_SECONDS / self._epoch_seconds, min(2, most), most))

    @property
    def _epoch_seconds(self) -> float:
        """Estimate an epoch by scikit-learn."""
        n_parameters = sum((a + 1) * b for a, b in pairwise(self.sizes))
        batch = 200 if isinstance(self.batch_size, str) else self.batch_size
        n_steps = 1 if self.solver == "lbfgs" else -(-self.n_fit // min(self.n_fit, batch))
        products = 6 * self.n_fit * n_parameters / _FLOPS_PER_SECOND
        return products + n_steps * (_STEP_SECONDS + n_parameters * _ELEMENT_SECONDS)

    def bounded(self) -> Self:
        """Return the draw with as many rows to fit as can be done a few times."""
        draw = self
        while 2 * draw._epoch_seconds > FIT_SECONDS and draw.n_fit > FEW_ROWS:
            draw = replace(draw, n_fit=draw.n_fit // 2)
        return draw

    def shortened(self) -> Self:
        """Return the same work on few rows."""
        return replace(
            self,
            n_fit=min(self.n_fit, FEW_ROWS),
            n_predict=min(self.n_predict, FEW_ROWS),
            most_epochs=1,
        )

    def data(self) -> tuple[Any, Any, Any]:
        """Return X and y to fit, and another X to predict."""
        sizes = (self.n_features, self.n_classes if self.n_classes > 2 else 1)
        workload = Workload(sizes, 200, self.n_fit + self.n_predict)
        problem = make_problem(workload, self.dtype, self.index)
        X, y = problem.X, problem.y[: self.n_fit].copy()
        # Every class is there, however few the rows.
        y[: self.n_classes] = range(self.n_classes)
        if self.density is not None:
            rng = np.random.default_rng(self.index)
            X = sparse.csr_array(X * (rng.random(X.shape) < self.density))
        return X[: self.n_fit], y, X[self.n_fit :]


def draw(seed: int, index: int) -> Draw:
    """Return one draw; its rows are halved until a fit of it is a matter of a second."""
    rng = np.random.default_rng([seed, index])
    is_sparse = rng.random() < 0.12
    is_default = rng.random() < 0.5
    n_layers = rng.choice(4, p=(0.1, 0.4, 0.3, 0.2))
    hidden = tuple(_log_uniform(rng, 2, 1_000) for _ in range(n_layers))
    batch_size: int | str = _log_uniform(rng, 1, 500)
    return Draw(
        seed,
        index,
        hidden=(100,) if is_default else hidden,
        n_features=_log_uniform(rng, 2, 784),
        n_classes=2 if rng.random() < 0.5 else int(rng.integers(3, 11)),
        solver=str(rng.choice(("adam", "sgd", "lbfgs"), p=(0.6, 0.2, 0.2))),
        batch_size="auto" if rng.random() < 0.6 else batch_size,
        dtype="float64" if rng.random() < 0.65 else "float32",
        density=float(rng.uniform(0.01, 0.2)) if is_sparse else None,
        n_fit=_log_uniform(rng, 20, 10_000),
        n_predict=_log_uniform(rng, 1, 10_000),
    ).bounded()


def _log_uniform(rng: np.random.Generator, low: int, high: int) -> int:
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))
