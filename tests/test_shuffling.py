"""The compiled shuffle is numpy's, draw for draw."""

import numpy as np
import pytest

from fastnet import kernels
from fastnet._shuffling import Shuffler

from . import reference


def same_state(a, b):
    a, b = a.get_state(legacy=False)["state"], b.get_state(legacy=False)["state"]
    return a["pos"] == b["pos"] and np.array_equal(a["key"], b["key"])


# Around powers of two, where the mask changes, and around the generator's period of 624.
@pytest.mark.parametrize("n", [1, 2, 3, 5, 64, 65, 623, 624, 625, 2000, 65_536, 65_537])
def test_same_permutations_and_state_as_numpy(n):
    ours, numpys = np.random.RandomState(n), np.random.RandomState(n)
    ours.uniform(size=7)
    numpys.uniform(size=7)
    rows = np.arange(n) * 3 + 1
    order, expected = rows, rows
    with Shuffler(ours, n) as shuffled:
        for _ in range(3):
            order = shuffled(order)
            permutation = np.arange(n)
            numpys.shuffle(permutation)
            expected = expected[permutation]
            np.testing.assert_array_equal(order, expected)
    assert same_state(ours, numpys)
    assert ours.normal() == numpys.normal()
    np.testing.assert_array_equal(rows, np.arange(n) * 3 + 1)


def test_kernel_and_its_twin():
    order = np.arange(1000) ** 2
    results = []
    for shuffle in (kernels.shuffle, reference.shuffle):
        _, key, position, *_ = np.random.RandomState(4).get_state()
        shuffled = np.empty_like(order)
        position = shuffle(order, np.empty_like(order), shuffled, key, position)
        results.append((shuffled, key, position))
    for ours, twins in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, twins)


def test_gaussian_held_back_is_kept():
    """`RandomState` draws normals in pairs, and keeps the second for later."""
    ours, numpys = np.random.RandomState(0), np.random.RandomState(0)
    assert ours.normal() == numpys.normal()
    with Shuffler(ours, 10) as shuffled:
        shuffled(np.arange(10))
    numpys.shuffle(np.arange(10))
    assert ours.normal() == numpys.normal()


def test_other_generators():
    ours = np.random.RandomState(np.random.PCG64(5))
    numpys = np.random.RandomState(np.random.PCG64(5))
    expected = np.arange(100)
    numpys.shuffle(expected)
    with Shuffler(ours, 100) as shuffled:
        np.testing.assert_array_equal(shuffled(np.arange(100)), expected)
    assert ours.uniform() == numpys.uniform()


def test_state_is_given_back_after_an_error():
    ours, numpys = np.random.RandomState(1), np.random.RandomState(1)

    def interrupted():
        with Shuffler(ours, 50) as shuffled:
            shuffled(np.arange(50))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    numpys.shuffle(np.arange(50))
    assert same_state(ours, numpys)
