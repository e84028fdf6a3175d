"""Solvers: hyper-parameters, learning-rate schedules and state.

The step itself is a kernel (``kernels/update.py``). What differs from scikit-learn's
optimizers is only that state is one vector, laid out as the parameters are.
"""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fastnet import kernels

from .network import FloatArray

# How the learning rate of `SGD` may change.
SCHEDULES = ("constant", "invscaling", "adaptive")


def to_keep(snapshot: dict[str, Any] | None, continues: bool) -> dict[str, Any] | None:
    """Return what a pickle or a file has of a snapshot: vectors only where training goes on.

    They are one to two times as large as the weights.
    """
    if snapshot is None or continues:
        return snapshot
    return {**snapshot, "state": snapshot["state"][:0].copy()}


@dataclass
class Solver:
    """What the solvers share.

    Attributes
    ----------
    learning_rate_init : float
        Learning rate to begin with.
    learning_rate : float
        The current one.
    state : ndarray
        Per-parameter state, of the parameters' dtype.
    powers : ndarray of shape (2,)
        Scalars that the kernel carries from step to step, float64.
    """

    learning_rate_init: float
    learning_rate: float = field(init=False)
    state: FloatArray = field(init=False)
    powers: npt.NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.learning_rate = float(self.learning_rate_init)
        self.powers = np.ones(2)

    def allocate(self, n_parameters: int, dtype: np.dtype[Any]) -> Self:
        """Set the state of every parameter to zero."""
        self.state = kernels.aligned_zeros(self.n_states * n_parameters, dtype)
        return self

    @property
    def learning_rate_rule(self) -> str:
        """How the learning rate changes; only `SGD` has a choice."""
        return "constant"

    def snapshot(self) -> dict[str, Any]:
        """Return where the solver stands, as plain numbers and the arrays themselves."""
        return {
            "solver": type(self).__name__,
            "rule": self.learning_rate_rule,
            "learning_rate_init": float(self.learning_rate_init),
            "learning_rate": self.learning_rate,
            "state": self.state,
            "powers": self.powers,
        }

    def resume(self, snapshot: dict[str, Any]) -> None:
        """Go on from where a solver stopped, with one's own hyper-parameters.

        What the two do not share starts afresh: all of another kind of solver, the
        learning rate of another schedule. A changed initial rate scales the current one.
        """
        state, powers = snapshot["state"], snapshot["powers"]
        fits = state.shape == self.state.shape and powers.shape == self.powers.shape
        if snapshot["solver"] != type(self).__name__ or not fits:
            return
        first = self.learning_rate
        self.restore(snapshot)
        if snapshot["rule"] == self.learning_rate_rule:
            self.learning_rate *= self.learning_rate_init / snapshot["learning_rate_init"]
        else:
            self.learning_rate = first

    def lacks_state(self, snapshot: dict[str, Any]) -> bool:
        """Return whether what `resume` should have gone on from was left out (`to_keep`)."""
        is_same = snapshot["solver"] == type(self).__name__
        return is_same and snapshot["state"].size == 0 < self.state.size

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go to where this solver, or one like it, has stood."""
        self.learning_rate = snapshot["learning_rate"]
        self.state[:] = snapshot["state"]
        self.powers[:] = snapshot["powers"]

    @property
    def code(self) -> int:
        """The kernel's number of this solver."""
        raise NotImplementedError

    @property
    def n_states(self) -> int:
        """How many numbers of state a parameter has."""
        raise NotImplementedError

    def hyper(self, alpha: float, max_grad_norm: float) -> npt.NDArray[np.float64]:
        """Return the kernel's vector of hyper-parameters."""
        own = self._hyper()
        return kernels.hyper_vector(self.learning_rate, alpha, max_grad_norm=max_grad_norm, **own)

    def _hyper(self) -> dict[str, float]:
        """Return the hyper-parameters that only this solver has."""
        return {}

    @property
    def is_steady(self) -> bool:
        """Whether the learning rate changes only where training would have stopped."""
        return True

    def iteration_ends(self, time_step: int) -> None:
        """Adjust the learning rate after an epoch; `time_step` samples were seen."""

    def trigger_stopping(self, message: str, verbose: bool) -> bool:
        """Decide whether to stop, where the loss or score stopped improving."""
        if verbose:
            print(message + " Stopping.")
        return True


@dataclass
class SGD(Solver):
    """Stochastic gradient descent, plain, with momentum or with Nesterov's."""

    schedule: str
    power_t: float
    momentum: float
    nesterov: bool

    @property
    def learning_rate_rule(self) -> str:
        return self.schedule

    @property
    def code(self) -> int:
        if self.momentum == 0:
            return kernels.SGD
        return kernels.NESTEROV if self.nesterov else kernels.MOMENTUM

    @property
    def n_states(self) -> int:
        return int(self.momentum != 0)

    def _hyper(self) -> dict[str, float]:
        return {"momentum": self.momentum}

    @property
    def is_steady(self) -> bool:
        return self.schedule != "invscaling"

    def iteration_ends(self, time_step: int) -> None:
        if self.schedule == "invscaling":
            with np.errstate(over="ignore", under="ignore"):
                growth = np.float64(time_step + 1) ** float(self.power_t)
                self.learning_rate = float(self.learning_rate_init / growth)

    def trigger_stopping(self, message: str, verbose: bool) -> bool:
        if self.schedule != "adaptive":
            return super().trigger_stopping(message, verbose)
        if self.learning_rate <= 1e-6:
            return super().trigger_stopping(message + " Learning rate too small.", verbose)
        self.learning_rate /= 5.0
        if verbose:
            print(f"{message} Setting learning rate to {self.learning_rate:f}")
        return False


@dataclass
class Adam(Solver):
    """Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2014)."""

    beta_1: float
    beta_2: float
    epsilon: float

    @property
    def code(self) -> int:
        return kernels.ADAM

    @property
    def n_states(self) -> int:
        return 2

    def _hyper(self) -> dict[str, float]:
        # Rounded to zero in float32, it would make a step along no gradient 0 / 0: of what
        # pads the rows of a matrix, for one.
        epsilon = max(self.epsilon, float(np.finfo(self.state.dtype).tiny))
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": epsilon}


class Rprop(Solver):
    """iRPROP-, for full batches: each parameter has a step of its own.

    References
    ----------
    Igel and Huesken, "Empirical evaluation of the improved Rprop learning algorithms",
    Neurocomputing 50, 2003.
    """

    @property
    def code(self) -> int:
        return kernels.RPROP

    @property
    def n_states(self) -> int:
        return 2

    def allocate(self, n_parameters: int, dtype: np.dtype[Any]) -> Self:
        super().allocate(n_parameters, dtype)
        with np.errstate(over="ignore", under="ignore"):
            self.state[:n_parameters] = self.learning_rate_init
        return self


class Gradient(Solver):
    """No step at all: the kernel leaves the gradient of the mean loss."""

    @property
    def code(self) -> int:
        return kernels.GRADIENT

    @property
    def n_states(self) -> int:
        return 0
