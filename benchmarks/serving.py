"""Race one, ten and a hundred rows: what a service waits for, from Python.

``python -m benchmarks.serving --json benchmarks/serving.json``, then
``python -m benchmarks.report --serving benchmarks/serving.json``

All contenders take turns in one run, float32, one thread where they can be told; what they return
is compared first. onnxruntime, OpenVINO and a compiler for C take part where they are installed.
"""

import argparse
import ctypes
import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from fastnet import Predictor, SigmoidMLPClassifier
from fastnet.export import to_c, to_numba, to_onnx

from .checks import assert_close
from .interleave import interleave
from .machine import describe_machine

Array = npt.NDArray[np.float32]
Call = Callable[[], Array]

NETWORKS = ((3, 2, 1), (28, 64, 1), (784, 128, 10))
N_ROWS = (1, 10, 100)
# Microseconds of `Predictor` for one row, at the most.
TARGETS = {(3, 2, 1): 0.7, (28, 64, 1): 1.0, (784, 128, 10): 12.0}
# Of a row in a compiled loop.
NUMBA_TARGET = {(28, 64, 1): 0.3}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write a JSON file if asked to."""
    parser = argparse.ArgumentParser("python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="file to write all rounds to")
    parser.add_argument("--shortened", action="store_true", help="two rounds of one network")
    options = parser.parse_args(arguments)
    networks = NETWORKS[:1] if options.shortened else NETWORKS
    n_rounds = 2 if options.shortened else options.rounds
    with TemporaryDirectory() as folder:
        rows = [
            race(sizes, n_rows, n_rounds, Path(folder)) for sizes in networks for n_rows in N_ROWS
        ]
    if options.json is not None:
        results = {"machine": describe_machine(), "rows": rows}
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def race(sizes: tuple[int, ...], n_rows: int, n_rounds: int, folder: Path) -> dict[str, Any]:
    """Measure one network and number of rows; times are microseconds a call."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((max(n_rows, 100), sizes[0]), np.float32)
    y = np.arange(len(X)) % max(2, sizes[-1])
    model = SigmoidMLPClassifier(sizes[1:-1], n_jobs=1, random_state=0)
    model.partial_fit(X, y, classes=np.unique(y))
    X = X[:n_rows].copy()
    expected = model.predict_proba(X)
    calls = _calls(model, X, folder)

    def check() -> None:
        for call in calls.values():
            assert_close(np.reshape(call(), expected.shape), expected, np.dtype(np.float32))

    times = interleave(calls, check, n_rounds)
    micro = {name: [1e6 * seconds for seconds in taken] for name, taken in times.items()}
    print(f"{'-'.join(map(str, sizes))}, {n_rows} rows:", end="  ")
    print(*(f"{name} {median(taken):.2f}" for name, taken in micro.items()), sep="  ", flush=True)
    return {"sizes": sizes, "n_rows": n_rows, "microseconds": micro}


def _calls(model: SigmoidMLPClassifier, X: Array, folder: Path) -> dict[str, Call]:
    predictor = Predictor(model)
    sklearn = model.to_sklearn()
    given = X[0] if len(X) == 1 else X
    calls: dict[str, Call] = {
        "Predictor": lambda: predictor(given),
        "to_numba, in a loop": _numba(model, X),
        "predict_proba": lambda: model.predict_proba(X),
        "numpy": _numpy(model, X),
        "scikit-learn": lambda: sklearn.predict_proba(X),
    }
    if find_spec("onnxruntime") and find_spec("onnx"):
        calls["onnxruntime"] = _onnxruntime(model, X)
    if find_spec("openvino") and find_spec("onnx"):
        calls["OpenVINO"] = _openvino(model, X)
    if shutil.which("cc"):
        calls["C by ctypes"] = _c(model, X, folder)
    return calls


def _numpy(model: SigmoidMLPClassifier, X: Array) -> Call:
    """Return what people write by hand."""
    coefs, intercepts = model.coefs_, model.intercepts_

    def call() -> Array:
        a = X
        for coef, intercept in zip(coefs[:-1], intercepts[:-1], strict=True):
            a = expit(a @ coef + intercept)
        z = a @ coefs[-1] + intercepts[-1]
        return softmax(z, axis=1) if z.shape[1] > 1 else expit(np.hstack([-z, z]))

    return call


def _numba(model: SigmoidMLPClassifier, X: Array) -> Call:
    """Return a loop over rows in compiled code, for as many rows that calling it counts little."""
    function = to_numba(model)
    P = np.empty((len(X), 2 if model.n_outputs_ == 1 else model.n_outputs_), np.float32)

    @numba.njit
    def loop(X: Any, P: Any) -> Any:
        for i in range(len(X)):
            function(X[i], P[i])
        return P

    return lambda: loop(X, P)


def _onnxruntime(model: SigmoidMLPClassifier, X: Array) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        to_onnx(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(["probabilities"], {"X": X})[0]


def _openvino(model: SigmoidMLPClassifier, X: Array) -> Call:
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(to_onnx(model).SerializeToString()), "CPU", {"INFERENCE_NUM_THREADS": 1}
    )
    request = compiled.create_infer_request()
    return lambda: request.infer({"X": X})["probabilities"]


def _c(model: SigmoidMLPClassifier, X: Array, folder: Path) -> Call:
    """Return the exported header, compiled for this processor, with a loop over rows."""
    name = f"net_{len(X)}_{model.coefs_[0].size}"
    (folder / f"{name}.c").write_text(
        f"{to_c(model)}\nvoid run(const float *x, float *p, int n);\n"
        "void run(const float *x, float *p, int n) { for (int i = 0; i < n; i++)"
        " net_predict_proba(x + i * NET_N_FEATURES, p + i * NET_N_OUTPUTS); }\n"
    )
    library = folder / f"{name}.so"
    flags = ["-O3", "-march=native", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, str(folder / f"{name}.c"), "-o", str(library), "-lm"], check=True)
    run = ctypes.CDLL(str(library)).run
    P = np.empty((len(X), 2 if model.n_outputs_ == 1 else model.n_outputs_), np.float32)
    arguments = (X.ctypes.data_as(ctypes.c_void_p), P.ctypes.data_as(ctypes.c_void_p), len(X))

    def call() -> Array:
        run(*arguments)
        return P

    return call


if __name__ == "__main__":
    main()
