"""The header of a model file: JSON, and what may stand in it.

JSON has no tuples, no dicts but of strings, and no infinity. They are objects with a single
key: ``{"$tuple": [5, 5]}``, ``{"$dict": [[key, value], ...]}`` and ``{"$float": "inf"}``.
"""

import json
import math
from collections.abc import Mapping
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt

from .._attributes import FITTED, Stored
from .._version import __version__

# To be raised with every change that an older fastnet cannot read.
FORMAT_VERSION = 1

# Kinds of values, by name of what has them.
Layout = dict[str, tuple[type, ...]]
_HEADER: Layout = {
    "format": (str,),
    "format_version": (int,),
    "fastnet_version": (str,),
    "parameters": (dict,),
    "feature_names": (list, NoneType),
    "out_activation": (str,),
    "record": (dict,),
    "solver": (dict, NoneType),
}
_LABELS: Layout = {"y_type": (str,), "sparse_labels": (bool,)}
# By the format, which is the estimator's name.
_LAYOUTS: dict[str, Layout] = {
    "fastnet.SigmoidMLPClassifier": {**_HEADER, **_LABELS},
    "fastnet.SigmoidMLPRegressor": _HEADER,
}
RECORD: Layout = {a.name: a.kinds for a in FITTED if a.stored is Stored.NUMBER}
SOLVER: Layout = {
    "solver": (str,),
    "rule": (str,),
    "learning_rate_init": (float,),
    "learning_rate": (float,),
}

_SCALARS = (bool, int, float, str, NoneType)
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
# A list of dicts is as far as any parameter goes.
_MOST_LEVELS = 4


def write(header: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    """Return a header's bytes; of what is in it, `to_json` has made what it had to."""
    return np.frombuffer(json.dumps(header, allow_nan=False).encode("ascii"), np.uint8)


def read(content: npt.NDArray[Any]) -> dict[str, Any]:
    """Return the header that bytes hold, everything in it being of the right kind.

    Raises
    ------
    ValueError
        If they hold anything else, or a header that only a later version knows.
    """
    if content.dtype != np.uint8 or content.ndim != 1:
        raise ValueError("'header' is not text.")
    text = content.tobytes().decode("ascii")
    try:
        header = json.loads(text, object_hook=_restored, parse_constant=_refused)
    except RecursionError as error:
        raise ValueError("'header' is nested too deeply.") from error
    layout = _LAYOUTS.get(str(header.get("format"))) if isinstance(header, dict) else None
    if layout is None:
        raise ValueError("its header is not one of fastnet's estimators.")
    _check_version(header)
    _check_kinds(header, layout)
    _check_kinds(header["record"], RECORD)
    if header["solver"] is not None:
        _check_kinds(header["solver"], SOLVER)
    for value in header["parameters"].values():
        _check_levels(value, _MOST_LEVELS)
    return header


def of_kinds(layout: Layout, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a layout as JSON can write them; a number may be any number."""
    return {
        name: None if values[name] is None else to_json(kinds[0](values[name]), name)
        for name, kinds in layout.items()
    }


def to_json(value: Any, name: str, levels: int = _MOST_LEVELS) -> Any:
    """Return a value as JSON can write it.

    Raises
    ------
    TypeError
        If it cannot be written so that the same would be read, with `name`, whose it is.
    """
    # Not dates and durations, which may become plain integers.
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        value = value.item()
    if type(value) is float and not math.isfinite(value):
        return {"$float": str(value)}
    if type(value) in _SCALARS:
        return value
    if levels and type(value) in (list, tuple):
        elements = [to_json(element, name, levels - 1) for element in value]
        return elements if type(value) is list else {"$tuple": elements}
    if levels and type(value) is dict:
        pairs = [[to_json(k, name, 0), to_json(v, name, levels - 1)] for k, v in value.items()]
        return {"$dict": pairs}
    raise TypeError(
        f"{name} cannot be saved: no file can hold a {type(value).__name__}, only None, bools, "
        "numbers, strings, and lists, tuples and dicts of them. Set it to one of these with "
        "set_params, or use pickle or joblib."
    )


def _restored(value: dict[str, Any]) -> Any:
    """Return what an object of JSON stands for."""
    if len(value) != 1:
        return value
    ((kind, content),) = value.items()
    if kind == "$float" and isinstance(content, str) and content in _NOT_FINITE:
        return _NOT_FINITE[content]
    if kind == "$tuple" and isinstance(content, list):
        return tuple(content)
    if kind == "$dict" and isinstance(content, list) and all(map(_is_pair, content)):
        return dict(content)
    if kind.startswith("$"):
        raise ValueError(f"'header' has a malformed {kind}.")
    return value


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and type(value[0]) in _SCALARS


def _refused(constant: str) -> float:
    raise ValueError(f"'header' has {constant}, which is not JSON.")


def _check_version(header: dict[str, Any]) -> None:
    version = header.get("format_version")
    if type(version) is not int or version < 1:
        raise ValueError("'header' has no version of the format.")
    if version > FORMAT_VERSION:
        raise ValueError(
            f"fastnet {header.get('fastnet_version')!s:.20} wrote it in version {version} of the "
            f"format, but fastnet {__version__} reads only versions up to {FORMAT_VERSION}: "
            "upgrade fastnet."
        )


def _check_kinds(values: dict[str, Any], layout: Layout) -> None:
    """Raise an error unless there are exactly the values of a layout."""
    for name in layout.keys() ^ values.keys():
        raise ValueError(f"'header' {'lacks' if name in layout else 'must not have'} {name!s:.60}.")
    for name, kinds in layout.items():
        value = values[name]
        if type(value) not in kinds:
            raise ValueError(f"{name} must not be of type {type(value).__name__}.")
        if type(value) is int and not 0 <= value < 2**63:
            raise ValueError(f"{name} is out of range.")


def _check_levels(value: Any, levels: int) -> None:
    """Raise an error if lists are in lists in lists, and so on."""
    if isinstance(value, list | tuple | dict):
        if levels == 0:
            raise ValueError("'header' is nested too deeply.")
        for element in value.values() if isinstance(value, dict) else value:
            _check_levels(element, levels - 1)
