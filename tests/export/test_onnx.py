"""ONNX: checked by onnx, and run by onnxruntime and by onnx's reference evaluator."""

import sys
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import skl2onnx
from numpy.testing import assert_allclose, assert_array_equal
from onnx.reference import ReferenceEvaluator
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor
from fastnet.export import register_skl2onnx, to_onnx

from .._support.exports import KINDS, REGRESSORS, fitted, pipeline, predicted, rows, tolerance
from ..reference import Array

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
kinds = pytest.mark.parametrize("kind", KINDS)


def with_onnxruntime(model: Any, X: Array, name: str = "X") -> list[Any]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    outputs: list[Any] = session.run(None, {name: X})
    return outputs


def with_reference(model: Any, X: Array) -> list[Any]:
    outputs: list[Any] = ReferenceEvaluator(model).run(None, {"X": X})
    return outputs


def assert_predicts(kind: str, model: Any, outputs: list[Any], X: Array, dtype: str) -> None:
    p, y = predicted(model, X)
    if kind in REGRESSORS:
        (values,) = outputs
        assert_allclose(values, p, rtol=10 * tolerance(dtype), atol=tolerance(dtype))
        return
    labels, probabilities = outputs
    assert probabilities.dtype == dtype
    assert_allclose(probabilities, p, rtol=0, atol=tolerance(dtype))
    assert_array_equal(np.reshape(labels, y.shape), y)


@dtypes
@kinds
@pytest.mark.parametrize("runtime", [with_onnxruntime, with_reference])
def test_a_runtime_predicts_what_the_model_does(runtime: Any, kind: str, dtype: str) -> None:
    model = fitted(kind, dtype)
    made = to_onnx(model)
    X = rows(dtype)
    assert_predicts(kind, model, runtime(made, X), X, dtype)
    # Of any number of rows.
    assert_predicts(kind, model, runtime(made, X[:1]), X[:1], dtype)


@pytest.mark.parametrize("opset", [13, 15, 18, 21])
@kinds
def test_of_several_versions_of_the_operators(kind: str, opset: int) -> None:
    model = fitted(kind, "float32")
    made = to_onnx(model, opset=opset)
    assert [(entry.domain, entry.version) for entry in made.opset_import] == [("", opset)]
    X = rows("float32", 500)
    assert_predicts(kind, model, with_onnxruntime(made, X), X, "float32")


def test_other_versions_are_refused() -> None:
    for opset in (12, 10_000):
        with pytest.raises(ValueError, match="opset must be from 13"):
            to_onnx(fitted("two", "float32"), opset=opset)


def test_names_and_shapes_are_those_of_skl2onnx() -> None:
    made = to_onnx(fitted("several", "float32"))
    assert [i.name for i in made.graph.input] == ["X"]
    assert [o.name for o in made.graph.output] == ["label", "probabilities"]
    made = to_onnx(fitted("two targets", "float32"))
    assert [o.name for o in made.graph.output] == ["variable"]
    assert made.graph.input[0].type.tensor_type.shape.dim[1].dim_value == 6
    assert not made.graph.input[0].type.tensor_type.shape.dim[0].HasField("dim_value")


def test_saturated_networks_give_no_nan() -> None:
    coefs, intercepts = [[[300.0, -300.0, 250.0]]], [[0.0, 0.0, -1.0]]
    X = np.array([[-1.0], [1.0], [3.0], [-40.0]])
    for loss in ("log_loss", "squared_error"):
        model = SigmoidMLPClassifier.from_weights(coefs, intercepts, [0, 1, 2], loss=loss)
        p = with_onnxruntime(to_onnx(model), X)[1]
        assert_allclose(p, model.predict_proba(X), rtol=1e-12, atol=1e-300)


@dtypes
def test_a_pipeline_is_folded(dtype: str) -> None:
    model = pipeline("several", dtype)
    X = (3 * rows(dtype, 300) + 1).astype(dtype)
    _, p = with_onnxruntime(to_onnx(model), X)
    assert_allclose(p, model.predict_proba(X), rtol=0, atol=10 * tolerance(dtype))


@pytest.mark.parametrize("module", ["onnx", "skl2onnx"])
def test_without_the_package_the_error_names_the_extra(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    call = register_skl2onnx if module == "skl2onnx" else lambda: to_onnx(fitted("two", "float32"))
    with pytest.raises(ImportError, match=rf"fastnet-mlp\[{module}\]"):
        call()


INPUTS = {"float32": FloatTensorType, "float64": DoubleTensorType}


def convert(model: Any, dtype: str, **options: Any) -> Any:
    register_skl2onnx()
    return skl2onnx.convert_sklearn(
        model,
        initial_types=[("X", INPUTS[dtype]([None, 6]))],
        options={id(getattr(model, "_final_estimator", model)): options} if options else None,
    )


@dtypes
@kinds
def test_skl2onnx_converts_an_estimator(kind: str, dtype: str) -> None:
    model = fitted(kind, dtype)
    made = convert(model, dtype, **{} if kind in REGRESSORS else {"zipmap": False})
    onnx.checker.check_model(made)
    X = rows(dtype)
    assert_predicts(kind, model, with_onnxruntime(made, X), X, dtype)


@dtypes
def test_skl2onnx_converts_a_pipeline(dtype: str) -> None:
    X = (3 * rows(dtype, 300) + 1).astype(dtype)
    network = SigmoidMLPClassifier((5,), max_iter=3_000, solver="lbfgs", alpha=0.1, random_state=0)
    model = make_pipeline(StandardScaler(), PCA(4), network).fit(X, np.arange(300) % 3)
    _, p = with_onnxruntime(convert(model, dtype, zipmap=False), X)
    assert_allclose(p, model.predict_proba(X), rtol=0, atol=100 * tolerance(dtype))


def test_skl2onnx_computes_in_the_dtype_of_the_rows() -> None:
    model = fitted("several", "float64")
    _, p = with_onnxruntime(convert(model, "float32", zipmap=False), rows("float32", 100))
    assert p.dtype == np.float32
    assert_allclose(p, model.predict_proba(rows("float32", 100)), rtol=0, atol=1e-6)


def test_skl2onnx_converts_columns_of_several_kinds() -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200)}).astype("float32")
    frame["c"] = np.array(["red", "green", "blue"])[np.arange(200) % 3]
    columns = ColumnTransformer(
        [("numbers", StandardScaler(), ["a", "b"]), ("text", OneHotEncoder(), ["c"])]
    )
    network = SigmoidMLPRegressor(
        hidden_layer_sizes=(4,), solver="lbfgs", max_iter=300, random_state=0
    )
    model = make_pipeline(columns, network).fit(frame, frame["a"])
    register_skl2onnx()
    kinds: list[Any] = [(name, FloatTensorType([None, 1])) for name in "ab"]
    made = skl2onnx.convert_sklearn(
        model, initial_types=[*kinds, ("c", StringTensorType([None, 1]))]
    )
    session = onnxruntime.InferenceSession(made.SerializeToString())
    given = {name: frame[[name]].to_numpy() for name in "abc"}
    (values,) = session.run(None, given)
    assert_allclose(values.ravel(), model.predict(frame), rtol=1e-4, atol=1e-5)


def test_the_options_of_classifiers() -> None:
    model = fitted("text", "float32")
    X = rows("float32", 50)
    p = model.predict_proba(X)
    numbers, _ = with_onnxruntime(convert(model, "float32", zipmap=False, nocl=True), X)
    assert_array_equal(numbers, p.argmax(axis=1))
    _, maps = with_onnxruntime(convert(model, "float32"), X)
    assert_allclose([[row[label] for label in model.classes_] for row in maps], p, atol=1e-6)
    *_, labels = with_onnxruntime(
        convert(model, "float32", zipmap=False, output_class_labels=True), X
    )
    assert_array_equal(labels, model.classes_)


def test_integers_are_taken_as_numbers() -> None:
    model = fitted("several", "float32")
    register_skl2onnx()
    made = skl2onnx.convert_sklearn(
        model, initial_types=[("X", Int64TensorType([None, 6]))], options={"zipmap": False}
    )
    X = np.random.default_rng(0).integers(-3, 3, (40, 6))
    assert_allclose(with_onnxruntime(made, X)[1], model.predict_proba(X), atol=1e-6)
