"""numpy's legacy shuffle, compiled: the same permutation from the same generator.

``RandomState.shuffle`` draws one bounded integer an element from the Mersenne Twister
and takes 8 ns for it, as long as a whole step of a 3-2-1 network. The stream of
`RandomState` is frozen (NEP 19), so it can be reproduced for good:

Matsumoto and Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform
pseudo-random number generator", ACM TOMACS 8, 1998.
"""

from typing import Any

import numpy as np

from ._jit import inline, paste, serial_kernel
from .intrinsics import load, store

_N = 624
_M = 397
_UPPER = np.uint32(0x80000000)
_LOWER = np.uint32(0x7FFFFFFF)
_MATRIX = np.uint32(0x9908B0DF)


@inline
def _twist(key: Any, k: int, following: int, other: int) -> None:
    y = np.uint32((load(key, k) & _UPPER) | (load(key, following) & _LOWER))
    odd = np.uint32(y & np.uint32(1))
    mixed = np.uint32(y >> np.uint32(1)) ^ np.uint32(odd * _MATRIX)
    store(key, k, np.uint32(load(key, other) ^ mixed))


@inline
def _regenerate(key: Any) -> None:
    for k in range(_N - _M):
        _twist(key, k, k + 1, k + _M)
    for k in range(_N - _M, _N - 1):
        _twist(key, k, k + 1, k + _M - _N)
    _twist(key, _N - 1, 0, _M - 1)


@inline
def _temper(y: Any) -> Any:
    y ^= y >> np.uint32(11)
    y ^= np.uint32(y << np.uint32(7)) & np.uint32(0x9D2C5680)
    y ^= np.uint32(y << np.uint32(15)) & np.uint32(0xEFC60000)
    y ^= y >> np.uint32(18)
    return np.uint32(y)


@inline
def _draw_places(first: int, last: int, places: Any, key: Any, position: int) -> int:
    """Draw for i = last, ..., first an integer from 0 to i, to ``places[i - first]``.

    A draw is masked to the bits of i and rejected while it is larger: every draw is
    written, and stepped over where it is accepted, because a branch would be guessed
    wrong every third time.
    """
    i = last
    mask = np.uint32(0xFFFFFFFF)
    while i >= first:
        while np.int64(mask >> np.uint32(1)) >= i:
            mask >>= np.uint32(1)
        stop = max(int(mask >> np.uint32(1)), first - 1)
        if position == _N:
            _regenerate(key)
            position = 0
        while i > stop and position < _N:
            place = np.int64(_temper(load(key, position)) & mask)
            position += 1
            store(places, i - first, place)
            i -= 1 if place <= i else 0
    return position


@paste
def _shuffle_one(orders: Any, start: int, n: int, places: Any, key: Any, position: int) -> int:
    """Shuffle n elements, from `start` on."""
    last = n - 1
    while last > 0:
        first = max(1, last - places.size + 1)
        position = _draw_places(first, last, places, key, position)
        for i in range(last, first - 1, -1):
            j = load(places, i - first)
            other = load(orders, start + j)
            store(orders, start + j, load(orders, start + i))
            store(orders, start + i, other)
        last = first - 1
    return position


@serial_kernel
def shuffle(orders: Any, places: Any, key: Any, position: int) -> int:
    """Shuffle the first of some orders in place, as ``RandomState.shuffle`` would.

    Each other becomes a shuffle of the one before it. `key` (624 uint32) and `position` are
    the generator's state, as `get_state` has them; `key` changes in place and the new position
    is returned. `places` is workspace of any size, for draws that are made some at a time; it
    and `orders`, of shape (n_orders, n), are int64. At most 2**32 elements an order.
    """
    n = orders.shape[1]
    for start in range(0, orders.size, n):
        if start > 0:
            for i in range(start, start + n):
                store(orders, i, load(orders, i - n))
        position = _shuffle_one(orders, start, n, places, key, position)
    return position
