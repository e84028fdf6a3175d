"""Arrays of Dask: what happens to them is said, and chunks are predicted one by one."""

import warnings
from typing import Any

import dask.array
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastnet import SigmoidMLPClassifier

from .._support.parity import data

X, Y = data("binary", np.float64, 60)
GATHERED = "of Dask, and all of it is gathered .* map_blocks or map_partitions"
CHUNKS = dask.array.from_array(X, chunks=(20, 9))
CALLS = {
    "fit": lambda model, X: model.fit(X, Y),
    "partial_fit": lambda model, X: model.partial_fit(X, Y),
    "predict": lambda model, X: model.predict(X),
    "predict_proba": lambda model, X: model.predict_proba(X),
    "decision_function": lambda model, X: model.decision_function(X),
    "score": lambda model, X: model.score(X, Y),
    "input_gradients": lambda model, X: model.input_gradients(X),
    "loss_gradients": lambda model, X: model.loss_gradients(X, Y),
}


def fitted() -> SigmoidMLPClassifier:
    return SigmoidMLPClassifier((3,), max_iter=2, tol=1.0, random_state=0).partial_fit(
        X, Y, classes=[0, 1]
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_what_gathers_says_so(call: Any) -> None:
    with pytest.warns(UserWarning, match=GATHERED) as said:
        call(fitted(), CHUNKS)
    assert len([warning for warning in said if "Dask" in str(warning.message)]) == 1
    assert said[0].filename == __file__


def test_chunks_are_predicted_without_a_word() -> None:
    model = fitted()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        proba = CHUNKS.map_blocks(model.predict_proba, dtype=float, chunks=(20, 2))
        assert_array_equal(proba.compute(scheduler="synchronous"), model.predict_proba(X))
