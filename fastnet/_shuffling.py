"""A new order of the samples for every epoch, drawn as scikit-learn draws it."""

from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fastnet import kernels

from . import _dispatch

IntArray = npt.NDArray[np.int64]


# Draws made at a time: a buffer that stays in the first cache.
_N_DRAWS = 1024


class Shuffler:
    """Shuffles orders with the draws of ``RandomState.shuffle``, 2.7 times as fast.

    A context manager: inside, it holds the generator's state, and `random_state` must
    not be drawn from; on leaving, `random_state` stands where it would have stood.

    Parameters
    ----------
    random_state : RandomState
        Where to draw from.
    """

    def __init__(self, random_state: np.random.RandomState) -> None:
        self._random_state = random_state
        self._state = random_state.get_state(legacy=False)
        # A RandomState may be built on other generators; then numpy does the work.
        self._is_compiled = self._state["bit_generator"] == "MT19937"
        self._places = np.empty(_N_DRAWS, np.int64)

    def __call__(self, order: IntArray) -> None:
        """Shuffle `order` in place."""
        if not self._is_compiled:
            self._random_state.shuffle(order)
            return
        mersenne = self._state["state"]
        arguments = (order, self._places, mersenne["key"], mersenne["pos"])
        if len(order) > _N_DRAWS:
            mersenne["pos"] = _dispatch.run_serial(kernels.shuffle, *arguments)
        else:
            # It is over in 3 us, and asking for a thread takes one.
            mersenne["pos"] = kernels.shuffle(*arguments)

    def save(self) -> Any:
        """Return the generator's state, for `restore`."""
        if not self._is_compiled:
            return self._random_state.get_state(legacy=False)
        mersenne = self._state["state"]
        return mersenne["key"].copy(), mersenne["pos"]

    def restore(self, saved: Any) -> None:
        """Go back to where `save` was called, in `random_state` as well."""
        if self._is_compiled:
            mersenne = self._state["state"]
            mersenne["key"][:], mersenne["pos"] = saved
            saved = self._state
        self._random_state.set_state(saved)

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
