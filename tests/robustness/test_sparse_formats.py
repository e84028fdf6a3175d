"""Sparse matrices of other formats than CSR and CSC that contradict themselves: refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from .._support.refusals import GRADIENTS, PREDICTING, X, fitted_pairs, record_launches, refusal, y

FAR = 500_000_000


def by_coordinates(axis: int, value: int) -> Any:
    matrix = sparse.coo_array(X)
    matrix.coords[axis][7] = value
    return matrix


def by_coordinates_with_data_left_out() -> Any:
    matrix = sparse.coo_array(X)
    matrix.data = matrix.data[:-3]
    return matrix


def in_blocks(value: int) -> Any:
    matrix = sparse.bsr_array(X, blocksize=(2, 2))
    matrix.indices[7] = value
    return matrix


def in_blocks_that_go_backwards() -> Any:
    matrix = sparse.bsr_array(X, blocksize=(2, 2))
    matrix.indptr[3:5] = matrix.indptr[[4, 3]]
    return matrix


def in_lists(value: int) -> Any:
    matrix = sparse.lil_array(X)
    matrix.rows[7][-1] = value
    return matrix


def in_lists_of_unequal_length() -> Any:
    matrix = sparse.lil_array(X)
    matrix.rows[7].pop()
    return matrix


def by_keys(value: int) -> Any:
    matrix = sparse.dok_array(X)
    # Setting an element would check it.
    matrix._dict[7, value] = 1.0
    return matrix


def by_diagonals_without_an_offset() -> Any:
    matrix = sparse.dia_array(X)
    matrix.offsets = matrix.offsets[:-1]
    return matrix


MALFORMED: dict[str, Callable[[], Any]] = {
    "COO, a column too many": lambda: by_coordinates(1, 4),
    "COO, a column far away": lambda: by_coordinates(1, FAR),
    "COO, a negative column": lambda: by_coordinates(1, -1),
    "COO, a row too many": lambda: by_coordinates(0, len(X)),
    "COO, a row far away": lambda: by_coordinates(0, FAR),
    "COO, a negative row": lambda: by_coordinates(0, -1),
    "COO, data left out": by_coordinates_with_data_left_out,
    "BSR, a column too many": lambda: in_blocks(2),
    "BSR, a column far away": lambda: in_blocks(FAR),
    "BSR, a negative column": lambda: in_blocks(-1),
    "BSR, rows go backwards": in_blocks_that_go_backwards,
    "LIL, a column too many": lambda: in_lists(4),
    "LIL, a column far away": lambda: in_lists(FAR),
    "LIL, a negative column": lambda: in_lists(-1),
    "LIL, data left over": in_lists_of_unequal_length,
    "DOK, a column too many": lambda: by_keys(4),
    "DOK, a column far away": lambda: by_keys(FAR),
    "DOK, a negative column": lambda: by_keys(-1),
    "DIA, an offset left out": by_diagonals_without_an_offset,
}
SAID = (
    "exceeds matrix dimension|negative axis|index values must be|[Ii]ndex pointer|indptr must"
    "|indices must be|as many column indices|same length|does not match the number of offsets"
)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_matrix_that_contradicts_itself_reaches_no_kernel(name, monkeypatch):
    bad = MALFORMED[name]()
    (model, _), (new, _) = fitted_pairs()["fitted"], fitted_pairs()["new"]
    launched = record_launches(monkeypatch)
    refusals = [refusal(model, method, bad) for method in PREDICTING]
    refusals += [refusal(model, method, bad, y) for method in ("score", *GRADIENTS)]
    refusals += [refusal(one, "fit", bad, y) for one in (model, new)]
    refusals += [
        refusal(model, "partial_fit", bad, y),
        refusal(new, "partial_fit", bad, y, classes=[0, 1, 2]),
        refusal(model, "fit", X, y, X_val=bad, y_val=y),
    ]
    for said in refusals:
        assert said is not None
        assert said[0] is ValueError
    assert launched == []
    with pytest.raises(ValueError, match=SAID):
        model.predict(bad)


@pytest.mark.parametrize("kind", ["coo", "bsr", "lil", "dok", "dia"])
@pytest.mark.parametrize("container", ["array", "matrix"])
def test_a_matrix_that_does_not_is_taken(kind, container):
    model, _ = fitted_pairs()["fitted"]
    matrix = getattr(sparse, f"{kind}_{container}")(X)
    np.testing.assert_array_equal(model.predict_proba(matrix), model.predict_proba(X))
