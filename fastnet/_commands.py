"""What ``python -m fastnet export`` and ``python -m fastnet info`` do."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import SigmoidMLPRegressor, load
from .export import to_c, to_onnx, to_python

# What an option's value makes of a model.
FORMATS: dict[str, Callable[[Any, argparse.Namespace], str | bytes]] = {
    "onnx": lambda model, options: to_onnx(model, opset=options.opset).SerializeToString(),
    "c": lambda model, options: to_c(model, options.name, exact=options.exact),
    "python": lambda model, options: to_python(model, pure=options.pure),
}

# What a user can mend: a file that is none or no model, a wrong name, a package that is missing.
_MISTAKES = (OSError, ValueError, TypeError, ImportError)


def export(options: argparse.Namespace) -> int:
    """Write a model in another form; return 1 after an error."""
    try:
        made = FORMATS[options.to](load(options.model), options)
        data = made.encode() if isinstance(made, str) else made
        if options.output is not None:
            Path(options.output).write_bytes(data)
        elif isinstance(made, bytes) and sys.stdout.isatty():
            return _fail("ONNX is binary: name a file with --output")
        else:
            sys.stdout.buffer.write(data)
    except _MISTAKES as error:
        return _fail(str(error))
    return 0


def describe(path: str) -> int:
    """Print what a model is; return 1 after an error."""
    try:
        model = load(path)
    except _MISTAKES as error:
        return _fail(str(error))
    sizes = [model.n_features_in_, *(coef.shape[1] for coef in model.coefs_)]
    count = sum(array.size for array in (*model.coefs_, *model.intercepts_))
    facts: dict[str, Any] = {
        "units": "-".join(map(str, sizes)),
        "parameters": f"{count:,} of {model.coefs_[0].dtype}",
        "output": model.out_activation_,
        "loss": model.loss,
    }
    if not isinstance(model, SigmoidMLPRegressor):
        facts["classes"] = _shortened(model.classes_)
    if hasattr(model, "feature_names_in_"):
        facts["features"] = _shortened(model.feature_names_in_)
    facts["solver"] = model.solver
    if getattr(model, "n_iter_", 0):
        unit = "iterations" if model.solver == "lbfgs" else "epochs"
        facts["trained"] = f"{model.n_iter_:,} {unit}, loss {model.loss_:.6g}"
    print(type(model).__name__)
    for name, value in facts.items():
        print(f"  {name:11} {value}")
    return 0


def _shortened(values: Any) -> str:
    """Return the first values, and how many there are."""
    shown = ", ".join(map(repr, np.asarray(values)[:8].tolist()))
    return shown if len(values) <= 8 else f"{shown}, ... ({len(values):,} in all)"


def _fail(message: str) -> int:
    print(f"fastnet: error: {message}", file=sys.stderr)
    return 1
