"""A new order of the samples for every epoch, drawn as scikit-learn draws it."""

from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from fastnet import kernels

IntArray = npt.NDArray[np.int64]


class Shuffler:
    """Shuffles orders with the draws of ``RandomState.shuffle``, 3 times as fast.

    A context manager: inside, it holds the generator's state, and `random_state` must
    not be drawn from; on leaving, `random_state` stands where it would have stood.

    Parameters
    ----------
    random_state : RandomState
        Where to draw from.
    n : int
        Length of the orders.
    """

    def __init__(self, random_state: np.random.RandomState, n: int) -> None:
        self._random_state = random_state
        self._state = random_state.get_state(legacy=False)
        # A RandomState may be built on other generators; then numpy does the work.
        self._is_compiled = self._state["bit_generator"] == "MT19937"
        self._places = np.empty(n, np.int64)
        self._orders = np.empty(n, np.int64), np.empty(n, np.int64)

    def __call__(self, order: IntArray) -> IntArray:
        """Return a shuffled copy of `order`; the copy before the last is overwritten."""
        if not self._is_compiled:
            order = order.copy()
            self._random_state.shuffle(order)
            return order
        first, second = self._orders
        self._orders = second, first
        mersenne = self._state["state"]
        mersenne["pos"] = kernels.shuffle(
            order, self._places, first, mersenne["key"], mersenne["pos"]
        )
        return first

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_compiled:
            self._random_state.set_state(self._state)
