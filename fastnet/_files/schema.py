"""An estimator as a header and named arrays, and back.

`_SET` has all attributes that `fit` sets. An estimator with any other is refused.
"""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.preprocessing import LabelBinarizer

from .._attributes import FITTED, Stored
from .._classifier import SigmoidMLPClassifier
from .._engine.network import FloatArray, Network
from .._engine.solvers import SCHEDULES, SGD, Adam, Gradient, Rprop, to_keep
from .._labels import binarizer_of
from .._regressor import SigmoidMLPRegressor
from .._version import __version__
from . import header as json_header
from .archive import Archive, is_plain

Estimator = SigmoidMLPClassifier | SigmoidMLPRegressor
_KINDS: dict[str, type[Estimator]] = {
    f"fastnet.{kind.__name__}": kind for kind in (SigmoidMLPClassifier, SigmoidMLPRegressor)
}

_CURVES = tuple(a.name for a in FITTED if a.stored is Stored.CURVE)
_LEARNED = {"classes_", "_label_binarizer", "n_features_in_", "feature_names_in_"}
_SET = {attribute.name for attribute in FITTED} | _LEARNED

# Of `Solver.snapshot`.
_SOLVERS = {kind.__name__ for kind in (SGD, Adam, Gradient, Rprop)}


def to_arrays(model: Estimator) -> dict[str, npt.NDArray[Any]]:
    """Return all of an estimator that a file holds.

    What it returns can be read: both make the same checks.

    Raises
    ------
    TypeError
        If it is of another class, or has what no file can hold.
    ValueError
        If a parameter is not valid, or weights or labels do not fit together.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    if type(model) not in _KINDS.values():
        raise TypeError(
            "Only a SigmoidMLPClassifier or a SigmoidMLPRegressor itself can be saved, got "
            f"{type(model).__name__}. "
            "skops.io.dump saves pipelines and other estimators without pickle."
        )
    # Another thread may train it meanwhile.
    model = model._fitted()
    _check_attributes(model)
    _check_parameters(model)
    network = model._network()
    model._output_code()
    params = network.flat(model.coefs_, model.intercepts_)
    if not np.isfinite(params).all():
        raise ValueError("coefs_ and intercepts_ must be finite.")
    solver = to_keep(model._solver_state, model._continues)
    if solver is not None:
        _check_solver(solver)
    arrays: dict[str, npt.NDArray[Any]] = {"header": _header_of(model, solver)}
    if isinstance(model, SigmoidMLPClassifier):
        arrays["classes"] = _classes_of(model)
    for layer, (weights, biases) in enumerate(zip(*network.views(params), strict=True)):
        arrays |= {f"coefs_{layer}": weights, f"intercepts_{layer}": biases}
    for name in _CURVES:
        if getattr(model, name) is not None:
            arrays[name.removesuffix("_")] = np.array(getattr(model, name), np.float64)
    if solver is not None:
        arrays |= {"solver_state": solver["state"], "solver_powers": solver["powers"]}
    return arrays


def from_archive(archive: Archive) -> Estimator:
    """Return the estimator that an archive holds.

    Raises
    ------
    ValueError
        If it holds anything else.
    """
    header = json_header.read(archive.read("header"))
    _check_names(archive.names, header)
    kind = _KINDS[header["format"]]
    model = _unfitted(kind, header["parameters"])
    network, params = _weights(archive)
    coefs, intercepts = network.views(params)
    state = _solver_state(archive, header["solver"])
    model.__dict__.update(
        header["record"],
        **_curves(archive),
        **_targets(kind, archive, header, network.sizes[-1]),
        coefs_=coefs,
        intercepts_=intercepts,
        n_layers_=len(network.sizes),
        n_outputs_=network.sizes[-1],
        n_features_in_=network.sizes[0],
        _solver_state=state,
        _continues=state is not None and state["state"].size > 0,
    )
    if header["feature_names"] is not None:
        model.feature_names_in_ = _feature_names(header["feature_names"], network.sizes[0])
    return model


def _check_attributes(model: Estimator) -> None:
    """Raise an error if there is an attribute that would be lost."""
    for name in vars(model).keys() - _SET - model.get_params(deep=False).keys():
        raise TypeError(
            f"The estimator has an attribute {name}, which no file can hold: delete it "
            "(callbacks: set_callbacks()), or use pickle or joblib."
        )


def _check_parameters(model: Estimator) -> None:
    model._validate_params()
    if model.n_jobs == 0:
        raise ValueError("n_jobs == 0 has no meaning.")


def _header_of(model: Estimator, solver: Any) -> npt.NDArray[np.uint8]:
    """Return all but the arrays."""
    parameters = model.get_params(deep=False)
    names = getattr(model, "feature_names_in_", None)
    header = {
        "format": f"fastnet.{type(model).__name__}",
        "format_version": json_header.FORMAT_VERSION,
        "fastnet_version": __version__,
        "parameters": {k: json_header.to_json(v, k) for k, v in parameters.items()},
        "feature_names": None if names is None else list(names),
    }
    if isinstance(model, SigmoidMLPClassifier):
        binarizer = model._label_binarizer
        header |= {"y_type": binarizer.y_type_, "sparse_labels": bool(binarizer.sparse_input_)}
    header |= {
        "out_activation": model.out_activation_,
        "record": json_header.of_kinds(json_header.RECORD, vars(model)),
        "solver": None if solver is None else json_header.of_kinds(json_header.SOLVER, solver),
    }
    return json_header.write(header)


def _classes_of(model: SigmoidMLPClassifier) -> npt.NDArray[Any]:
    """Return the labels, if `_labels` would take them."""
    classes, binarizer = model.classes_, model._label_binarizer
    if not is_plain(classes.dtype):
        raise TypeError(
            f"No file can hold classes_ of dtype {classes.dtype}; use pickle or joblib."
        )
    expected = _binarizer(classes, binarizer.y_type_, binarizer.sparse_input_, model.n_outputs_)
    if not np.array_equal(binarizer.classes_, expected.classes_):
        raise ValueError("classes_ differ from the classes that the model was fitted to.")
    return classes


def _check_names(names: frozenset[str], header: dict[str, Any]) -> None:
    """Raise an error unless there are exactly the arrays that go with a header."""
    n_layers = max(sum(name.startswith("coefs_") for name in names), 1)
    expected = {"header", "loss_curve"} | ({"classes"} if "y_type" in header else set())
    expected |= {f"{kind}_{n}" for kind in ("coefs", "intercepts") for n in range(n_layers)}
    if header["record"]["best_validation_score_"] is not None:
        expected |= {"validation_scores", "validation_loss_curve"}
    if header["solver"] is not None:
        expected |= {"solver_state", "solver_powers"}
    for name in expected ^ names:
        raise ValueError(f"{name!r:.60} is missing or must not be there.")


def _unfitted(kind: type[Estimator], parameters: dict[str, Any]) -> Estimator:
    """Return an estimator; parameters that the file's version did not have are default."""
    for name in parameters.keys() - kind().get_params(deep=False).keys():
        raise ValueError(f"there is no parameter {name!s:.60} in fastnet {__version__}.")
    model = kind(**parameters)
    _check_parameters(model)
    return model


def _read(archive: Archive, name: str, dtypes: str, ndim: int) -> npt.NDArray[Any]:
    """Return an array of one of these dtypes, whatever the order of its bytes is."""
    array = archive.read(name)
    if array.ndim != ndim or array.dtype.newbyteorder("=").str[1:] not in dtypes.split():
        raise ValueError(f"{name!r} has {array.ndim} axes of {array.dtype}.")
    return array


def _weights(archive: Archive) -> tuple[Network, FloatArray]:
    """Return the network and its parameters, after checking that layers fit together."""
    n_layers = sum(name.startswith("coefs_") for name in archive.names)
    coefs = [_read(archive, f"coefs_{n}", "f4 f8", 2) for n in range(n_layers)]
    intercepts = [_read(archive, f"intercepts_{n}", "f4 f8", 1) for n in range(n_layers)]
    if len({array.dtype for array in (*coefs, *intercepts)}) > 1:
        raise ValueError("its weights are of more than one dtype.")
    network = Network.of(coefs)
    return network, network.pack(coefs, intercepts)


def _targets(
    kind: type[Estimator], archive: Archive, header: dict[str, Any], n_outputs: int
) -> dict[str, Any]:
    """Return what an estimator knows of its targets."""
    if kind is SigmoidMLPClassifier:
        return _labels(archive, header, n_outputs)
    activation = header["out_activation"]
    if activation not in kind._out_activations:
        raise ValueError(f"out_activation must not be {activation!r:.60}.")
    return {"out_activation_": activation}


def _labels(archive: Archive, header: dict[str, Any], n_outputs: int) -> dict[str, Any]:
    """Return what a classifier knows of its labels."""
    raw = archive.read("classes")
    classes = _owned(raw)
    # Neither is possible in an array that numpy has made; the first makes it raise SystemError.
    if raw.dtype.kind == "U" and classes.view(np.uint32).max(initial=0) > sys.maxunicode:
        raise ValueError("'classes' contains invalid Unicode characters.")
    if raw.dtype.kind == "b" and raw.view(np.uint8).max(initial=0) > 1:
        raise ValueError("'classes' has booleans that are neither 0 nor 1.")
    y_type, activation = header["y_type"], header["out_activation"]
    if activation != "logistic" and (activation, y_type) != ("softmax", "multiclass"):
        raise ValueError(f"out_activation must not be {activation!r:.60}.")
    binarizer = _binarizer(classes, y_type, header["sparse_labels"], n_outputs)
    return {"classes_": classes, "_label_binarizer": binarizer, "out_activation_": activation}


def _binarizer(
    classes: npt.NDArray[Any], y_type: str, sparse_input: bool, n_outputs: int
) -> LabelBinarizer:
    """Return a binarizer as it would be if it had been fitted.

    Raises
    ------
    ValueError
        If there are not as many classes as outputs need, or not in order.
    """
    is_multilabel = y_type == "multilabel-indicator"
    n_classes = len(classes)
    fits = {
        "binary": n_outputs == 1 and n_classes in (1, 2),
        "multiclass": n_outputs == n_classes > 2,
        "multilabel-indicator": 1 < n_outputs <= n_classes,
    }
    if not fits.get(y_type, False) or classes.ndim != 1 or (sparse_input and not is_multilabel):
        raise ValueError(f"{n_classes} classes of {y_type!r:.60} do not fit {n_outputs} outputs.")
    with np.errstate(invalid="ignore"):
        if not ((classes[:-1] < classes[1:]).all() and (classes == classes).all()):
            raise ValueError("classes_ must be in ascending order, without duplicates or NaN.")
    return binarizer_of(np.arange(n_outputs) if is_multilabel else classes, y_type, sparse_input)


def _curves(archive: Archive) -> dict[str, Any]:
    """Return the records that have an element an epoch."""
    curves: dict[str, Any] = dict.fromkeys(_CURVES)
    for name in curves:
        if name.removesuffix("_") in archive.names:
            curves[name] = _read(archive, name.removesuffix("_"), "f8", 1).tolist()
    return curves


def _check_solver(solver: dict[str, Any]) -> None:
    """Raise an error unless there is such a solver."""
    if solver["solver"] not in _SOLVERS or solver["rule"] not in SCHEDULES:
        raise ValueError(f"there is no solver {solver['solver']!r:.60}, {solver['rule']!r:.60}.")
    if not solver["learning_rate_init"] > 0.0:
        raise ValueError("learning_rate_init must be > 0.")


def _solver_state(archive: Archive, solver: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the snapshot of the solver, if there is one."""
    if solver is None:
        return None
    _check_solver(solver)
    powers = _owned(_read(archive, "solver_powers", "f8", 1))
    if powers.shape != (2,):
        raise ValueError("'solver_powers' must have two elements.")
    state = _owned(_read(archive, "solver_state", "f4 f8", 1))
    return {**solver, "state": state, "powers": powers}


def _owned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a copy that is no view of the file, in the order of bytes of this machine."""
    return np.array(array, array.dtype.newbyteorder("="))


def _feature_names(names: list[Any], n_features: int) -> npt.NDArray[Any]:
    if len(names) != n_features or not all(isinstance(name, str) for name in names):
        raise ValueError(f"feature_names must be {n_features} strings.")
    return np.array(names, dtype=object)
