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
    order = np.arange(n) * 3 + 1
    expected = order.copy()
    with Shuffler(ours) as shuffle:
        for _ in range(3):
            shuffle(order)
            permutation = np.arange(n)
            numpys.shuffle(permutation)
            expected = expected[permutation]
            np.testing.assert_array_equal(order, expected)
    assert same_state(ours, numpys)
    assert ours.normal() == numpys.normal()


@pytest.mark.parametrize("n_places", [1, 7, 999, 2000])
def test_kernel_and_its_twin(n_places):
    order = np.arange(1000) ** 2
    results = []
    for shuffle in (kernels.shuffle, reference.shuffle):
        _, key, position, *_ = np.random.RandomState(4).get_state()
        shuffled = order.copy()
        position = shuffle(shuffled, np.empty(n_places, np.int64), key, position)
        results.append((shuffled, key, position))
    for ours, twins in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, twins)


def test_gaussian_held_back_is_kept():
    """`RandomState` draws normals in pairs, and keeps the second for later."""
    ours, numpys = np.random.RandomState(0), np.random.RandomState(0)
    assert ours.normal() == numpys.normal()
    with Shuffler(ours) as shuffle:
        shuffle(np.arange(10))
    numpys.shuffle(np.arange(10))
    assert ours.normal() == numpys.normal()


def test_other_generators():
    ours = np.random.RandomState(np.random.PCG64(5))
    numpys = np.random.RandomState(np.random.PCG64(5))
    order, expected = np.arange(100), np.arange(100)
    numpys.shuffle(expected)
    with Shuffler(ours) as shuffle:
        shuffle(order)
    np.testing.assert_array_equal(order, expected)
    assert ours.uniform() == numpys.uniform()


def test_state_is_given_back_after_an_error():
    ours, numpys = np.random.RandomState(1), np.random.RandomState(1)

    def interrupted():
        with Shuffler(ours) as shuffle:
            shuffle(np.arange(50))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    numpys.shuffle(np.arange(50))
    assert same_state(ours, numpys)
