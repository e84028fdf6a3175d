"""Write the tables in which fastnet's estimators stand beside those that they replace.

``python docs/drop_in.py`` asks both classes, and small fits of both, what they have, and
replaces what stands between the markers of ``docs/mlpclassifier.md`` and
``docs/mlpregressor.md``. What is around them is the page's own.
``tests/package/test_drop_in_tables.py`` checks both.
"""

import inspect
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metadata_routing import UNCHANGED

from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor

# Scikit-learn's class and ours, by the page on which they are compared.
PAGES: dict[Path, tuple[type, type]] = {
    Path(__file__).with_name("mlpclassifier.md"): (MLPClassifier, SigmoidMLPClassifier),
    Path(__file__).with_name("mlpregressor.md"): (MLPRegressor, SigmoidMLPRegressor),
}

# A kind of fit, by what it is called in the table. The last two only fastnet has.
FITS: dict[str, dict[str, Any]] = {
    "lbfgs": {"solver": "lbfgs"},
    "sgd": {"solver": "sgd"},
    "adam": {"solver": "adam"},
    "early stopping": {"early_stopping": True},
}
OWN_FITS: dict[str, dict[str, Any]] = {"rprop": {"solver": "rprop"}, "X_val": {}}

# What each of the two classes has: text by name.
Descriptions = list[dict[str, str]]


def parameters(*classes: type) -> str:
    """Return the table of parameters and their defaults."""
    described = [
        {name: _parameter(cls, parameter) for name, parameter in _signature(cls).items()}
        for cls in classes
    ]
    return _table("parameter", classes, described)


def methods(*classes: type) -> str:
    """Return the table of methods and their signatures."""
    described = [
        {name: _call(cls, name) for name in dir(cls) if _is_method(cls, name)} for cls in classes
    ]
    return _table("method", classes, described)


def attributes(*classes: type) -> str:
    """Return the table of what `fit` sets, and of what kind it is."""
    theirs, ours = (_fitted_kinds(cls, FITS) for cls in classes)
    own = _fitted_kinds(classes[1], OWN_FITS)
    compared = [_described(kinds) for kinds in (theirs, ours)]
    shown = {name: kinds | own[name] for name, kinds in ours.items()}
    return _table("attribute", classes, compared, [compared[0], _described(shown)])


def _signature(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return parameters without annotations."""
    bare = inspect.Parameter.empty
    found = inspect.signature(function).parameters.items()
    return {name: parameter.replace(annotation=bare) for name, parameter in found}


def _parameter(cls: type, parameter: inspect.Parameter) -> str:
    """Return a default, with the words to choose from where there are a few."""
    words: set[str] = set()
    for constraint in cls._parameter_constraints[parameter.name]:  # type: ignore[attr-defined]
        words |= constraint.options if isinstance(constraint, StrOptions) else set()
    # Not the names of all scorers.
    choice = " of " + ", ".join(sorted(words)) if 1 < len(words) < 10 else ""
    return f"`{parameter.default!r}`{choice}"


def _is_method(cls: type, name: str) -> bool:
    return not name.startswith("_") and callable(getattr(cls, name))


def _call(cls: type, name: str) -> str:
    found = [p for p in _signature(getattr(cls, name)).values() if p.name != "self"]
    return f"`{inspect.Signature(found)}`".replace(repr(UNCHANGED), "UNCHANGED")


def _fitted_kinds(cls: type, fits: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Return, for each attribute that a fit sets, its kind after each kind of fit."""
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame(rng.normal(size=(40, 2)), columns=["a", "b"]), np.arange(40) % 2
    fitted = {}
    for name, settings in fits.items():
        model = cls(hidden_layer_sizes=(2,), max_iter=2, random_state=0, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y, **({"X_val": X, "y_val": y} if name == "X_val" else {}))
        fitted[name] = {key: _kind(value) for key, value in vars(model).items() if _is_public(key)}
    names = sorted(set().union(*fitted.values()))
    return {
        name: {fit: kinds.get(name, "absent") for fit, kinds in fitted.items()} for name in names
    }


def _is_public(attribute: str) -> bool:
    return attribute.endswith("_") and not attribute.startswith("_")


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "list of " + " or ".join(sorted({_kind(element) for element in value}))
    if isinstance(value, Integral):
        return "int"
    if isinstance(value, Real):
        return "float"
    return "None" if value is None else type(value).__name__


def _described(attributes: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return a kind, or where fits differ, each kind and the fits it comes from."""
    described = {}
    for name, kinds in attributes.items():
        distinct = list(dict.fromkeys(kinds.values()))
        fits = {k: ", ".join(fit for fit in kinds if kinds[fit] == k) for k in distinct}
        parts = distinct if len(distinct) == 1 else [f"{kind} ({fits[kind]})" for kind in distinct]
        described[name] = "; ".join(parts)
    return described


def _table(
    what: str, classes: tuple[type, ...], described: Descriptions, shown: Descriptions | None = None
) -> str:
    """Return a table of what is described; what is shown may say more of it."""
    theirs, ours = described
    names = " | ".join(cls.__name__ for cls in classes)
    lines = [f"| {what} | {names} | |", "|---|---|---|---|"]
    for name in dict.fromkeys([*theirs, *ours]):
        mark = "same" if theirs.get(name) == ours.get(name) else "different"
        mark = "only fastnet" if name not in theirs else mark
        mark = "only scikit-learn" if name not in ours else mark
        cells = " | ".join(texts.get(name, "") for texts in shown or described)
        lines.append(f"| `{name}` | {cells} | {mark} |")
    return "\n".join(lines)


def render(page: str, *classes: type) -> str:
    """Return the page with its tables as they should be."""
    for table in (parameters, methods, attributes):
        page = _replace(page, table.__name__, table(*classes))
    return page


def _replace(page: str, name: str, section: str) -> str:
    """Replace what stands between a section's markers."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"the page lacks {begin} or {end}")
    return f"{before}{begin}\n\n{section}\n\n{end}{after}"


if __name__ == "__main__":
    for path, compared in PAGES.items():
        path.write_text(render(path.read_text(), *compared))
