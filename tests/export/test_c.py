"""Headers in C: compiled by what compilers there are, with all warnings as errors, and run."""

import ctypes
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastnet import Predictor, SigmoidMLPClassifier
from fastnet.export import to_c

from .._support.exports import (
    HOSTILE,
    KINDS,
    REGRESSORS,
    fitted,
    pipeline,
    predicted,
    rows,
    tolerance,
)
from ..reference import Array

WARNINGS = [
    "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wpedantic", "-Wshadow", "-Wundef",
    "-Werror",
]  # fmt: skip
# Compiler, language and standard. Hexadecimal floats are C++ since C++17.
COMPILERS = {
    "gcc": ["gcc", "-x", "c", "-std=c99"],
    "g++": ["g++", "-x", "c++", "-std=c++17"],
    "clang": ["clang", "-x", "c", "-std=c99"],
    "clang++": ["clang++", "-x", "c++", "-std=c++17"],
}
SANITIZERS = ("-fsanitize=address,undefined,float-divide-by-zero", "-fno-sanitize-recover=all")
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def compiler(name: str) -> list[str]:
    if shutil.which(COMPILERS[name][0]) is None:
        pytest.skip(f"{name} is not installed")
    return COMPILERS[name]


@cache
def links(name: str, flags: tuple[str, ...]) -> bool:
    """Return whether a compiler makes programs with such flags."""
    command = [*compiler(name), *flags, "-", "-o", os.devnull]
    return subprocess.run(command, input=b"int main(void) { return 0; }").returncode == 0


compilers = pytest.mark.parametrize("name", COMPILERS)

# Reads rows as bytes, and writes probabilities or values, then class numbers or labels.
PROGRAM = """\
#include "net.h"
#include <stdio.h>

int main(void)
{
    net_real x[NET_N_FEATURES], p[NET_N_OUTPUTS];
    while (fread(x, sizeof x, 1, stdin) == 1) {
        %s
        fwrite(p, sizeof p, 1, stdout);
        %s
    }
    return 0;
}
"""
_LABELS = {
    "class": "{ int k = net_predict(x); fwrite(&k, sizeof k, 1, stdout); }",
    "multilabel": "{ unsigned char l[NET_N_OUTPUTS]; int k, v; net_predict(x, l); for (k = 0; k <"
    " NET_N_OUTPUTS; k++) { v = l[k]; fwrite(&v, sizeof v, 1, stdout); } }",
    "none": "",
}


def what_it_predicts(model: Any, X: Array) -> str:
    if not hasattr(model, "predict_proba"):
        return "none"
    return "class" if model.predict(X[:1]).ndim == 1 else "multilabel"


def run(command: list[str], model: Any, X: Array, folder: Path, **options: Any) -> Any:
    """Compile a model's header with a program, run that, and return what it predicts."""
    what = what_it_predicts(model, X)
    (folder / "net.h").write_text(to_c(model, **options), encoding="utf-8")
    predict = "net_predict(x, p);" if what == "none" else "net_predict_proba(x, p);"
    (folder / "main.c").write_text(PROGRAM % (predict, _LABELS[what]))
    program = folder / "program"
    subprocess.run(
        [*command, *WARNINGS, str(folder / "main.c"), "-o", str(program), "-lm"], check=True
    )
    done = subprocess.run([program], input=X.tobytes(), capture_output=True, check=True)
    n_outputs = predicted(model, X[:1])[0].shape[1]
    n_labels = {"class": 1, "multilabel": n_outputs, "none": 0}[what]
    row = np.dtype([("p", X.dtype, (n_outputs,)), ("labels", np.int32, (n_labels,))])
    result = np.frombuffer(done.stdout, row)
    return result["p"], result["labels"]


def assert_labels(model: Any, X: Array, numbers: Array) -> None:
    _, y = predicted(model, X)
    if what_it_predicts(model, X) == "class":
        numbers = model.classes_[np.minimum(numbers, len(model.classes_) - 1)]
    assert_array_equal(numbers, y)


@dtypes
@pytest.mark.parametrize("kind", KINDS)
@compilers
def test_a_program_in_c_predicts_what_the_model_does(
    name: str, kind: str, dtype: str, tmp_path: Path
) -> None:
    model = fitted(kind, dtype)
    X = rows(dtype)
    p, labels = run([*compiler(name), "-O2"], model, X, tmp_path)
    wanted, _ = predicted(model, X)
    assert_allclose(p, wanted, rtol=tolerance(dtype), atol=tolerance(dtype))
    if kind not in REGRESSORS:
        assert_labels(model, X, labels)


# gcc may make one operation of a product and a sum, and would also where that is not meant to be.
FLAGS = {"": [], "-mfma": ["-mfma"], "native": ["-march=native", "-O3"]}


@dtypes
@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_exact_programs_have_the_bits_of_fastnet(
    name: str, kind: str, flags: str, dtype: str, tmp_path: Path
) -> None:
    model = fitted(kind, dtype)
    X = rows(dtype, 500)
    X[:250] *= 30  # saturated units, and outputs below the least normal number
    p, _ = run([*compiler(name), "-O2", *FLAGS[flags]], model, X, tmp_path, exact=True)
    wanted = Predictor(model)(X).reshape(p.shape)
    if kind == "squared error":
        assert_allclose(p, wanted, rtol=tolerance(dtype))
    else:
        assert_array_equal(p, wanted, strict=True)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", ["several", "two", "squared error", "multilabel", "one target"])
@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_sanitizers_find_nothing(name: str, kind: str, exact: bool, tmp_path: Path) -> None:
    if not links(name, SANITIZERS):
        pytest.skip(f"{name} has no sanitizers here (Debian's libclang-rt-14-dev)")
    model = fitted(kind, "float32")
    X = np.vstack([rows("float32", 50), 1e30 * rows("float32", 5), np.full((1, 6), np.nan, "f4")])
    command = [*compiler(name), "-g", *SANITIZERS]
    p, _ = run(command, model, X.astype("f4"), tmp_path, exact=exact)
    assert_allclose(p[:50], predicted(model, X[:50])[0], rtol=1e-6, atol=1e-6)
    assert np.isnan(p[-1]).all()


def test_saturated_networks_give_no_nan(tmp_path: Path) -> None:
    coefs, intercepts = [[[300.0, -300.0, 250.0]]], [[0.0, 0.0, -1.0]]
    for loss in ("log_loss", "squared_error"):
        model = SigmoidMLPClassifier.from_weights(coefs, intercepts, [0, 1, 2], loss=loss)
        X = np.array([[-1.0], [1.0], [3.0], [-40.0]])
        p, _ = run(compiler("gcc"), model, X, tmp_path)
        assert_allclose(p, model.predict_proba(X), rtol=1e-12, atol=1e-300)


@dtypes
def test_a_pipeline_is_folded(dtype: str, tmp_path: Path) -> None:
    model = pipeline("several", dtype)
    X = (3 * rows(dtype, 300) + 1).astype(dtype)
    p, _ = run(compiler("gcc"), model, X, tmp_path)
    assert_allclose(p, model.predict_proba(X), rtol=0, atol=10 * tolerance(dtype))


def library(model: Any, folder: Path) -> Any:
    (folder / "net.h").write_text(to_c(model), encoding="utf-8")
    kind = to_c(model).split("static inline ")[-1].split("net_label")[0]
    code = f'#include "net.h"\n{kind}label(int k);\n{kind}label(int k) {{ return net_label(k); }}\n'
    (folder / "label.c").write_text(code)
    out = folder / "label.so"
    command = [*compiler("gcc"), *WARNINGS, "-shared", "-fPIC", str(folder / "label.c")]
    subprocess.run([*command, "-o", str(out), "-lm"], check=True)
    function = ctypes.CDLL(str(out)).label
    function.restype = {
        "const char *": ctypes.c_char_p, "long long ": ctypes.c_longlong, "int ": ctypes.c_int,
        "double ": ctypes.c_double,
    }[kind]  # fmt: skip
    return function


@pytest.mark.parametrize("kind", ["text", "two texts", "several", "booleans", "floats", "large"])
def test_a_label_comes_out_as_itself(kind: str, tmp_path: Path) -> None:
    model = fitted(kind, "float32")
    label = library(model, tmp_path)
    found = [label(k) for k in range(len(model.classes_))]
    if "text" in kind:
        found = [text.decode() for text in found]
        assert set(found) <= set(HOSTILE)
    assert found == model.classes_.tolist()


def test_labels_that_c_has_not_are_refused() -> None:
    coefs, intercepts = [[[1.0]]], [[0.0]]
    bad: dict[str, Any] = {
        "NUL": ["a", "a\0b"],
        "64 bits": np.array([0, 2**63], np.uint64),
        "finite": [0.0, np.inf],
        "one kind": np.array([False, 2], dtype=object),
    }
    for message, labels in bad.items():
        model = SigmoidMLPClassifier.from_weights(coefs, intercepts, [0, 1])
        model.classes_ = np.asarray(labels)
        with pytest.raises(ValueError, match=message):
            to_c(model)


@pytest.mark.parametrize(
    "name", ["", "1net", "a-b", "a b", "int", "class", "a__b", "_a", "é", "a;int b", 'a"', "a\n"]
)
def test_a_name_must_be_an_identifier(name: str) -> None:
    with pytest.raises(ValueError, match="name must be an identifier"):
        to_c(fitted("two", "float32"), name)


def test_two_networks_stand_in_one_program(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.h").write_text(to_c(fitted("several", "float32"), name))
    includes = "".join(f'#include "{name}.h"\n' for name in ("first", "second", "first"))
    (tmp_path / "both.c").write_text(f"{includes}int main(void) {{ return 0; }}\n")
    command = [*compiler("gcc"), *WARNINGS, str(tmp_path / "both.c"), "-o", str(tmp_path / "both")]
    subprocess.run([*command, "-lm"], check=True)


@pytest.mark.parametrize("exact", [False, True])
def test_it_runs_on_a_cortex_m(exact: bool, tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed (Debian's gcc-arm-none-eabi)")
    (tmp_path / "net.h").write_text(to_c(fitted("several", "float32"), exact=exact))
    (tmp_path / "net.c").write_text(
        '#include "net.h"\nint answer(const float *x);\n'
        "int answer(const float *x) { return net_predict(x); }\n"
    )
    flags = [
        "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-Os", "-std=c99"
    ]  # fmt: skip
    command = ["arm-none-eabi-gcc", *flags, *WARNINGS, "-fstack-usage", "-c", "net.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    # Nothing that is written to, so no data and no bss.
    sizes = subprocess.run(
        ["arm-none-eabi-size", "net.o"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert sizes.stdout.split("\n")[1].split()[1:3] == ["0", "0"]
    assert "answer" in (tmp_path / "net.su").read_text()


@dtypes
def test_emulated_aarch64_has_the_same_bits(dtype: str, tmp_path: Path) -> None:
    for tool in ("aarch64-linux-gnu-gcc", "qemu-aarch64"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (Debian's gcc-aarch64-linux-gnu, qemu-user)")
    model = fitted("several", dtype)
    X = rows(dtype, 300)
    wrapper = tmp_path / "emulated"
    cross = ["aarch64-linux-gnu-gcc", "-x", "c", "-std=c99", "-O2", "-static"]
    (tmp_path / "net.h").write_text(to_c(model, exact=True))
    (tmp_path / "main.c").write_text(PROGRAM % ("net_predict_proba(x, p);", _LABELS["none"]))
    subprocess.run(
        [*cross, *WARNINGS, str(tmp_path / "main.c"), "-o", str(wrapper), "-lm"], check=True
    )
    done = subprocess.run(
        ["qemu-aarch64", str(wrapper)], input=X.tobytes(), capture_output=True, check=True
    )
    p = np.frombuffer(done.stdout, dtype).reshape(len(X), -1)
    assert_array_equal(p, Predictor(model)(X), strict=True)
