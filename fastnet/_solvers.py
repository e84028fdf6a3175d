"""Solvers: hyper-parameters, learning-rate schedules and state.

The step itself is a kernel (``kernels/update.py``). What differs from scikit-learn's
optimizers is only that state is one vector, laid out as the parameters are.
"""

import copy
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fastnet import kernels

FloatArray = npt.NDArray[np.floating]


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
        self.state = np.zeros(self.n_states * n_parameters, dtype)
        return self

    def copy(self) -> Self:
        """Return an independent copy."""
        other = copy.copy(self)
        other.state = self.state.copy()
        other.powers = self.powers.copy()
        return other

    @property
    def code(self) -> int:
        """The kernel's number of this solver."""
        raise NotImplementedError

    @property
    def n_states(self) -> int:
        """How many numbers of state a parameter has."""
        raise NotImplementedError

    def hyper(self, alpha: float) -> npt.NDArray[np.float64]:
        """Return the kernel's vector of hyper-parameters."""
        raise NotImplementedError

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
    def code(self) -> int:
        if self.momentum == 0:
            return kernels.SGD
        return kernels.NESTEROV if self.nesterov else kernels.MOMENTUM

    @property
    def n_states(self) -> int:
        return int(self.momentum > 0)

    def hyper(self, alpha: float) -> npt.NDArray[np.float64]:
        return kernels.hyper_vector(self.learning_rate, alpha, momentum=self.momentum)

    def iteration_ends(self, time_step: int) -> None:
        if self.schedule == "invscaling":
            self.learning_rate = float(self.learning_rate_init) / (time_step + 1) ** self.power_t

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

    def hyper(self, alpha: float) -> npt.NDArray[np.float64]:
        # Rounded to zero in float32, it would make a step along no gradient 0 / 0: of what
        # pads the rows of a matrix, for one.
        epsilon = max(self.epsilon, float(np.finfo(self.state.dtype).tiny))
        return kernels.hyper_vector(
            self.learning_rate, alpha, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=epsilon
        )


class Gradient(Solver):
    """No step at all: the kernel leaves the gradient of the mean loss."""

    @property
    def code(self) -> int:
        return kernels.GRADIENT

    @property
    def n_states(self) -> int:
        return 0

    def hyper(self, alpha: float) -> npt.NDArray[np.float64]:
        return kernels.hyper_vector(0.0, alpha)
