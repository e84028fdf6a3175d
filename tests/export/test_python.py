"""Modules of Python: run where neither fastnet nor scikit-learn can be imported."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastnet.export import to_python

from .._support.exports import KINDS, REGRESSORS, fitted, pipeline, predicted, rows, tolerance

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
FORMS = {"inside": {}, "beside": {"weights": "net-1.npz"}, "pure": {"pure": True}}

# Takes the packages that are refused; reads rows, and writes what is predicted of them.
PROGRAM = """\
import pickle, sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None
X = pickle.load(sys.stdin.buffer)
import net
calls = [name for name in ("predict", "predict_proba") if hasattr(net, name)]
results = {name: getattr(net, name)(X) for name in calls}
results["CLASSES"] = getattr(net, "CLASSES", None)
pickle.dump(results, sys.stdout.buffer)
"""


def run(model: Any, X: Any, folder: Path, form: str) -> dict[str, Any]:
    """Return what a module predicts in a process of its own, in another folder."""
    options: dict[str, Any] = dict(FORMS[form])
    if "weights" in options:
        options["weights"] = folder / options["weights"]
    (folder / "net.py").write_text(to_python(model, **options), encoding="utf-8")
    refused = "fastnet,sklearn,scipy,numba" + (",numpy" if form == "pure" else "")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, refused],
        input=pickle.dumps(X.tolist() if form == "pure" else X),
        env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr.decode()
    results: dict[str, Any] = pickle.loads(done.stdout)
    return results


@dtypes
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_module_predicts_what_the_model_does(
    kind: str, form: str, dtype: str, tmp_path: Path
) -> None:
    model = fitted(kind, dtype)
    X = rows(dtype, 300 if form == "pure" else 10_000)
    results = run(model, X, tmp_path, form)
    p, y = predicted(model, X)
    if kind in REGRESSORS:
        assert results.keys() == {"predict", "CLASSES"}
        limits = {"rtol": 10 * tolerance(dtype), "atol": tolerance(dtype)}
        assert_allclose(results["predict"], model.predict(X), **limits)
        return
    assert_allclose(results["predict_proba"], p, rtol=0, atol=tolerance(dtype))
    assert_array_equal(np.reshape(results["predict"], y.shape), y)
    if results["CLASSES"] is not None:
        assert set(results["CLASSES"]) == set(model.classes_.tolist())


@pytest.mark.parametrize("form", FORMS)
def test_a_pipeline_is_folded(form: str, tmp_path: Path) -> None:
    model = pipeline("several", "float64")
    X = 3 * rows("float64", 50) + 1
    results = run(model, X, tmp_path, form)
    assert_allclose(results["predict_proba"], model.predict_proba(X), rtol=1e-10)


@pytest.mark.parametrize("pure", [False, True])
def test_rows_that_are_no_good_are_refused(pure: bool) -> None:
    module: dict[str, Any] = {}
    exec(to_python(fitted("several", "float64"), pure=pure), module)
    for bad in ([[1.0] * 5], [[np.nan, *[1.0] * 5]], [[np.inf, *[1.0] * 5]]):
        with pytest.raises(ValueError, match=r"6 features|NaN"):
            module["predict"](bad)


def test_saturated_networks_give_no_nan() -> None:
    from fastnet import SigmoidMLPClassifier

    coefs, intercepts = [[[300.0, -300.0, 250.0]]], [[0.0, 0.0, -1.0]]
    X = [[-1.0], [1.0], [3.0], [-40.0]]
    for loss in ("log_loss", "squared_error"):
        model = SigmoidMLPClassifier.from_weights(coefs, intercepts, [0, 1, 2], loss=loss)
        for pure in (False, True):
            module: dict[str, Any] = {}
            exec(to_python(model, pure=pure), module)
            p = module["predict_proba"](X)
            assert_allclose(p, model.predict_proba(X), rtol=1e-12, atol=1e-300)


def test_wrong_uses_are_refused(tmp_path: Path) -> None:
    model = fitted("two", "float32")
    for options in ({"pure": True, "weights": tmp_path / "a.npz"}, {"weights": tmp_path / "a"}):
        with pytest.raises(ValueError, match=r"weights must be"):
            to_python(model, **options)
    with pytest.raises(OSError, match="no-such-folder"):
        to_python(model, weights=tmp_path / "no-such-folder" / "a.npz")
    assert not any(tmp_path.iterdir())


def test_a_hostile_name_of_the_file_is_not_code(tmp_path: Path) -> None:
    name = "a'\"\\\n{x} $title.npz"
    text = to_python(fitted("two", "float32"), weights=tmp_path / name)
    (tmp_path / "net.py").write_text(text, encoding="utf-8")
    module: dict[str, Any] = {"__file__": str(tmp_path / "net.py")}
    exec(text, module)
    assert len(module["COEFS"]) == 2
