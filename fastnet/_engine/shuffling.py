"""A new order of the samples for every epoch, drawn as scikit-learn draws it."""

from copy import deepcopy
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fastnet import kernels

from . import dispatch

IntArray = npt.NDArray[np.int64]


# Draws made at a time: a buffer that stays in the first cache.
_N_DRAWS = 1024


class Shuffler:
    """Shuffles orders with the draws of ``RandomState.shuffle``, 2.7 times as fast.

    A context manager: on leaving, `random_state` stands where it would have stood. Until then
    it must not be drawn from, unless it is shared.

    Parameters
    ----------
    random_state : RandomState
        Where to draw from.
    is_shared : bool
        Whether others may draw from it between two shuffles: scorers and callbacks may, where
        it is numpy's global generator. numpy then does the work, because to read a
        generator's state takes 0.25 ms, and to write it as long.
    """

    def __init__(self, random_state: np.random.RandomState, is_shared: bool = False) -> None:
        self._random_state = random_state
        self._state = random_state.get_state(legacy=False)
        # A RandomState may be built on other generators.
        self._is_compiled = self._state["bit_generator"] == "MT19937" and not is_shared
        self._places = np.empty(_N_DRAWS, np.int64)
        # Of a shuffle that may yet be undone: the state before it, and what it shuffled.
        self._before: Any = None
        self._order: Any = None

    @property
    def sees_ahead(self) -> bool:
        """Whether several orders may be drawn at once: nobody else draws in between."""
        return self._is_compiled

    def __call__(self, orders: IntArray) -> None:
        """Shuffle the first order in place; each other becomes a shuffle of the one before it.

        Parameters
        ----------
        orders : ndarray of shape (n_orders, n_samples)
            One order, where this does not see ahead.
        """
        if not self._is_compiled:
            (order,) = orders
            self._order = order
            self._before = self._random_state.get_state(legacy=False)
            self._random_state.shuffle(order)
            return
        mersenne = self._state["state"]
        self._before = mersenne["key"].copy(), mersenne["pos"]
        arguments = (orders, self._places, mersenne["key"], mersenne["pos"])
        if orders.size > _N_DRAWS:
            mersenne["pos"] = dispatch.run_serial(kernels.shuffle, *arguments)
        else:
            # It is over in 3 us, and asking for a thread takes one.
            mersenne["pos"] = kernels.shuffle(*arguments)

    def keep(self) -> None:
        """Say that the last shuffle is not to be undone."""
        self._before = None

    def undo(self) -> None:
        """Go back to before the last shuffle, unless it is kept, or others have drawn since.

        `random_state` stands there as well, however the context was left.
        """
        if self._is_compiled:
            if self._before is not None:
                mersenne = self._state["state"]
                mersenne["key"][:], mersenne["pos"] = self._before
            self._random_state.set_state(self._state)
        elif self._before is not None and not self._others_have_drawn():
            self._random_state.set_state(self._before)

    def _others_have_drawn(self) -> bool:
        """Return whether the generator is elsewhere than the last shuffle has left it."""
        now, then = deepcopy(self._random_state), deepcopy(self._random_state)
        then.set_state(self._before)
        then.shuffle(self._order.copy())
        return now.bytes(16) != then.bytes(16)

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
