"""Fitted estimators of every kind, and model files taken apart and put together again."""

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import unique_labels

import fastnet
from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor
from fastnet._files.archive import Archive, pack
from fastnet._files.schema import from_archive, to_arrays

from ..reference import Array
from .parity import data

DIGITS = 64
BASE = {"hidden_layer_sizes": (5,), "max_iter": 3, "shuffle": False, "random_state": 0}


def fitted(kind: str, dtype: Any, relabel: Any = None, **parameters: Any) -> Any:
    """Return an estimator and what it was fitted to; labels are looked up in `relabel`."""
    X, y = data(kind, dtype)
    y = y if relabel is None else np.asarray(relabel)[y]
    return SigmoidMLPClassifier(**{**BASE, **parameters}).fit(X, y), X, y


def partially_fitted(kind: str, dtype: Any, classes: Any = None, **parameters: Any) -> Any:
    X, y = data(kind, dtype)
    model = SigmoidMLPClassifier(**{**BASE, **parameters})
    classes = unique_labels(y) if classes is None else classes
    return model.partial_fit(X, y, classes=classes).partial_fit(X, y), X, y


def of_sparse_labels() -> Any:
    X, y = data("multilabel", np.float64)
    return SigmoidMLPClassifier(**BASE).fit(X, sparse.csr_matrix(y)), X, y


def of_named_features() -> Any:
    X, y = data("multiclass", np.float64)
    X = pd.DataFrame(X, columns=[f'"ü\N{SNOWMAN}[{{{n}' for n in range(X.shape[1])])
    return SigmoidMLPClassifier(**BASE).fit(X, y), X, y


def of_object_labels() -> Any:
    X, y = data("binary", np.float64)
    y = np.array(["no", "yes"], dtype=object)[y]
    return SigmoidMLPClassifier(**BASE).fit(X, y), X, y


def of_sklearn(**parameters: Any) -> Any:
    X, y = data("multiclass", np.float64)
    mlp = MLPClassifier(activation="logistic", **{**BASE, **parameters}).fit(X, y)
    return SigmoidMLPClassifier.from_sklearn(mlp), X, y


def of_weights(classes: Any, n_outputs: int, dtype: Any = np.float64) -> Any:
    """Return an estimator without a record of training."""
    rng = np.random.default_rng(0)
    shapes = ((9, 4), (4, n_outputs))
    coefs = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    intercepts = [rng.standard_normal(fan_out) for _, fan_out in shapes]
    model = SigmoidMLPClassifier.from_weights(coefs, intercepts, classes, shuffle=False)
    X, _ = data("binary", dtype)
    return model, X, model.predict(X)


def regressor(dtype: Any, n_outputs: int, loss: str = "squared_error", **parameters: Any) -> Any:
    """Return an estimator of targets, trained in parts so that its file has a solver's state."""
    X, _ = data("multiclass", dtype)
    y = np.abs(X[:, 0] if n_outputs == 1 else X[:, :n_outputs]).astype(np.float64)
    model = SigmoidMLPRegressor(loss, **{**BASE, **parameters})
    return model.partial_fit(X, y).partial_fit(X, y), X, y


def validated(**parameters: Any) -> Any:
    X, y = data("multiclass", np.float64)
    model = SigmoidMLPClassifier(**BASE, **parameters)
    return model.fit(X, y, X_val=X[:50], y_val=y[:50]), X, y


KINDS: dict[str, Callable[[], Any]] = {
    "binary": lambda: fitted("binary", np.float64),
    "binary float32": lambda: fitted("binary", np.float32),
    "one class": lambda: fitted("binary", np.float64, relabel=[7, 7]),
    "multiclass": lambda: fitted("multiclass", np.float64),
    "multiclass float32": lambda: fitted("multiclass", np.float32),
    "multilabel": lambda: fitted("multilabel", np.float64),
    "multilabel of sparse labels": of_sparse_labels,
    "multilabel, parts": lambda: partially_fitted("multilabel", np.float64),
    # As scikit-learn, of outputs that are not all there.
    "multilabel, more": lambda: partially_fitted("multilabel", np.float64, [0.0, 1.0, 2.0, 9.0]),
    "strings": lambda: fitted("multiclass", np.float64, ["", "a", "ü\N{SNOWMAN}", "zebra"]),
    "objects": of_object_labels,
    "bools": lambda: fitted("binary", np.float64, [False, True]),
    "negative": lambda: fitted("multiclass", np.float32, np.array([-4, -3, 0, 5], np.int8)),
    "floats": lambda: fitted("binary", np.float64, [0.0, 1.0]),
    "dates": lambda: fitted("binary", np.float64, np.array(["2000", "2026"], "M8[ns]")),
    "no hidden layer": lambda: fitted("multiclass", np.float64, hidden_layer_sizes=()),
    "no intercept": lambda: fitted("binary", np.float32, fit_intercept=False),
    "padded rows": lambda: fitted("binary", np.float32, hidden_layer_sizes=[128, 3]),
    "named features": of_named_features,
    "from weights": lambda: of_weights(["a", "b"], 1),
    "from weights float32": lambda: of_weights(None, 3, np.float32),
    "from sklearn": of_sklearn,
    "from sklearn, early stopping": lambda: of_sklearn(early_stopping=True, n_iter_no_change=2),
    "early stopping": lambda: fitted("multiclass", np.float64, early_stopping=True, tol=1.0),
    "validation only": validated,
    "validation, warm": lambda: validated(warm_start=True, scoring="neg_log_loss"),
    "squared error": lambda: fitted("multiclass", np.float64, loss="squared_error"),
    "sgd, warm": lambda: fitted(
        "multiclass", np.float32, solver="sgd", learning_rate="invscaling", warm_start=True
    ),
    "plain sgd, parts": lambda: partially_fitted("binary", np.float64, solver="sgd", momentum=0.0),
    "adaptive, warm": lambda: fitted(
        "binary", np.float64, solver="sgd", learning_rate="adaptive", warm_start=True, tol=9.0,
        n_iter_no_change=1,
    ),
    "adam, warm": lambda: fitted("multiclass", np.float64, warm_start=True),
    "adam, parts": lambda: partially_fitted("multiclass", np.float32),
    "rprop, warm": lambda: fitted("multiclass", np.float64, solver="rprop", warm_start=True),
    "lbfgs": lambda: fitted("multiclass", np.float64, solver="lbfgs"),
    "lbfgs, warm": lambda: fitted("binary", np.float64, solver="lbfgs", warm_start=True),
    "class weights": lambda: fitted(
        "binary", np.float64, class_weight={0: np.float64(1.5), 1: 2}, n_iter_no_change=np.inf
    ),
    "many class weights": lambda: fitted(
        "multilabel", np.float64, class_weight=[{0: 1, 1: 3}] * 3, alpha=np.float32(0.5)
    ),
}  # fmt: skip


REGRESSORS: dict[str, Callable[[], Any]] = {
    "regression": lambda: regressor(np.float64, 1),
    "regression, several targets": lambda: regressor(np.float32, 3, solver="sgd"),
    "regression, no hidden layer": lambda: regressor(np.float64, 1, hidden_layer_sizes=()),
    "deviance": lambda: regressor(np.float64, 2, "poisson", solver="rprop"),
}


@cache
def example(kind: str) -> tuple[Any, Any, Array]:
    """Return a fitted estimator, features and labels or targets, none of which may be changed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {**KINDS, **REGRESSORS}[kind]()


@cache
def file_of(kind: str) -> bytes:
    """Return what `save` writes of it."""
    return bytes(pack(to_arrays(example(kind)[0])))


def same(a: Any, b: Any) -> bool:
    """Return whether two values are equal, and of one type but for numpy's scalars."""
    a, b = (value.item() if isinstance(value, np.generic) else value for value in (a, b))
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)
    if isinstance(a, LabelBinarizer):
        return same(vars(a), vars(b))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    # Minus zero is not zero, and what is not a number is itself.
    return repr(a) == repr(b) if isinstance(a, float) else a == b


def members_of(content: bytes) -> dict[str, bytes]:
    """Return the files in a model file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def sealed(content: bytes) -> bytes:
    """Return a file with the checksum that it should have."""
    return content[:-DIGITS] + hashlib.sha256(content[:-DIGITS]).hexdigest().encode()


def archive_of(members: dict[str, bytes] | list[tuple[str, bytes]], **options: Any) -> bytes:
    """Return a model file with these files in it."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", **options) as archive:
        warnings.simplefilter("ignore")
        for name, content in members.items() if isinstance(members, dict) else members:
            archive.writestr(zipfile.ZipInfo(name), content, options.get("compression"))
        archive.comment = b"fastnet sha256 " + bytes(DIGITS)
    return sealed(buffer.getvalue())


def npy(array: Any) -> bytes:
    """Return the npy file of an array."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header_of(content: bytes) -> Any:
    """Return the header of a model file, as JSON has it."""
    return json.loads(members_of(content)["header.npy"][128:])


def with_header(content: bytes, header: Any) -> bytes:
    """Return a model file with another header: JSON, or its text."""
    text = header if isinstance(header, str) else json.dumps(header)
    array = np.frombuffer(text.encode(), np.uint8)
    return archive_of({**members_of(content), "header.npy": npy(array)})


def with_array(content: bytes, name: str, array: Any) -> bytes:
    """Return a model file with another array, or another npy file, of a name."""
    given = array if isinstance(array, bytes) else npy(array)
    return archive_of({**members_of(content), f"{name}.npy": given})


def load_bytes(content: bytes) -> Any:
    """Return what `load` makes of a file with this content."""
    return from_archive(Archive(content))


def is_refused(content: bytes) -> bool:
    """Return whether a file is refused; if not, assert that the estimator can be used."""
    try:
        model = load_bytes(content)
    except ValueError:
        return True
    # It is one that may be saved.
    assert len(pack(to_arrays(model)))
    assert repr(model)
    # Features without names are warned of, and features by any names are slow.
    vars(model.set_params(n_jobs=1)).pop("feature_names_in_", None)
    X = np.ones((2, model.n_features_in_), model.coefs_[0].dtype)
    assert model.predict(X).shape[0] == 2
    if isinstance(model, SigmoidMLPClassifier):
        assert str(model.classes_)
        assert model.predict_proba(X).shape == (2, max(2, model.n_outputs_))
    return False


DELETED = object()


def edited(kind: str = "adam, parts", **values: Any) -> bytes:
    """Return a file in whose header some values are others; of no value, there are none."""
    header = header_of(file_of(kind))
    for path, value in values.items():
        *outer, name = path.split("__")
        place = header
        for step in outer:
            place = place[step]
        if value is DELETED:
            del place[name]
        else:
            place[name] = value
    return with_header(file_of(kind), header)


def refused(content: bytes, message: str, folder: Any) -> None:
    """Assert that a file is refused by its name, and with a reason."""
    path = folder / "model.fastnet"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        fastnet.load(path)
    assert str(caught.value).startswith(f"{path} cannot be loaded: ")
