"""Race the header of `to_c` against emlearn's: time on this machine, size on a Cortex-M4.

``python -m benchmarks.in_c``, with emlearn, a compiler, and for sizes Debian's gcc-arm-none-eabi

Both compute the probabilities of the same rows in float32, with the same flags, one process after
the other by turns. What they return is compared first. emlearn's is its "loadable" form, the one
that returns probabilities.
"""

import argparse
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnet import SigmoidMLPClassifier
from fastnet.export import to_c

from .checks import assert_close

NETWORKS = ((3, 2, 1), (28, 64, 1), (784, 128, 10))
N_ROWS = 256

# Prints what it predicts for one pass over the rows, and the nanoseconds a row of the best pass.
PROGRAM = """\
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <time.h>
#include "net.h"

#define ROWS {n_rows}
#define FEATURES {n_features}
#define OUTPUTS {n_outputs}
static float x[ROWS * FEATURES], p[ROWS * OUTPUTS];

int main(void)
{{
    double best = 1e300;
    if (fread(x, sizeof x, 1, stdin) != 1)
        return 1;
    for (int pass = 0; pass < {n_passes}; pass++) {{
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        for (int i = 0; i < ROWS; i++)
            {call};
        clock_gettime(CLOCK_MONOTONIC, &b);
        const double taken = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
        best = taken < best ? taken : best;
    }}
    fwrite(p, sizeof p, 1, stdout);
    fprintf(stderr, "%f", best / ROWS);
    return 0;
}}
"""
FLAGS = {"-O2": ["-O2"], "-O3 -march=native": ["-O3", "-march=native"]}
# What a device has to hold: code, constants, and what is written to.
CORTEX = "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16 -Os -std=c99"
ENTRY = """\
#include "net.h"
void run(const float *x, float *p);
void run(const float *x, float *p) {{ const int i = 0; {call}; }}
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.in_c", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    for sizes in NETWORKS:
        with TemporaryDirectory() as folder:
            race(sizes, options.rounds, Path(folder))


def race(sizes: tuple[int, ...], n_rounds: int, folder: Path) -> None:
    """Measure one network."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_ROWS, sizes[0]), np.float32)
    y = np.arange(N_ROWS) % max(2, sizes[-1])
    model = SigmoidMLPClassifier(sizes[1:-1], random_state=0)
    model.partial_fit(X, y, classes=np.unique(y))
    expected = model.predict_proba(X)
    headers = {"to_c": (to_c(model), "net_predict_proba(x + i * FEATURES, p + i * OUTPUTS)")}
    if find_spec("emlearn"):
        headers["emlearn"] = _emlearn(model)
    for flags in FLAGS:
        programs = {
            name: _compiled(*header, X, expected, FLAGS[flags], folder / f"{name}{flags}")
            for name, header in headers.items()
        }
        times: dict[str, list[float]] = {name: [] for name in programs}
        for _ in range(n_rounds):
            for name, program in programs.items():
                times[name].append(_run(program, X, expected))
        told = "  ".join(f"{name} {median(taken):.1f} ns" for name, taken in times.items())
        print(f"{'-'.join(map(str, sizes)):12} {flags:18} {told}", flush=True)
    for name, header in headers.items():
        print(f"{'':12} {name}: {_size(*header, folder / f'{name}-m4')}", flush=True)


def _emlearn(model: SigmoidMLPClassifier) -> tuple[str, str]:
    import emlearn

    converted = emlearn.convert(model.to_sklearn(), method="loadable")
    call = "eml_net_predict_proba(&em, x + i * FEATURES, FEATURES, p + i * OUTPUTS, OUTPUTS)"
    return converted.save(name="em"), call


def _compiled(
    header: str, call: str, X: npt.NDArray[Any], p: npt.NDArray[Any], flags: list[str], folder: Path
) -> Path:
    sizes = {"n_rows": len(X), "n_features": X.shape[1], "n_outputs": p.shape[1]}
    text = PROGRAM.format(call=call, n_passes=max(20, 20_000_000 // X.size), **sizes)
    return _build(["cc", *flags], header, text, folder, ["-lm"])


def _build(command: list[str], header: str, text: str, folder: Path, last: list[str]) -> Path:
    folder.mkdir()
    (folder / "net.h").write_text(header)
    (folder / "main.c").write_text(text)
    includes = []
    if "eml_net" in header:
        import emlearn

        includes = ["-I", emlearn.includedir]
    built = folder / "built"
    subprocess.run([*command, *includes, str(folder / "main.c"), "-o", built, *last], check=True)
    return built


def _run(program: Path, X: npt.NDArray[Any], expected: npt.NDArray[Any]) -> float:
    done = subprocess.run([program], input=X.tobytes(), capture_output=True, check=True)
    p = np.frombuffer(done.stdout, np.float32).reshape(expected.shape)
    assert_close(p, expected, np.dtype(np.float32))
    return float(done.stderr)


def _size(header: str, call: str, folder: Path) -> str:
    """Return the bytes of an object file for a Cortex-M4, and the stack of its deepest function."""
    if shutil.which("arm-none-eabi-gcc") is None:
        return "arm-none-eabi-gcc is not installed"
    lengths = {"FEATURES": "1", "OUTPUTS": "2"}
    defines = "".join(f"#define {name} {value}\n" for name, value in lengths.items())
    text = defines + ENTRY.format(call=call)
    built = _build([*CORTEX.split(), "-fstack-usage", "-c"], header, text, folder, [])
    sizes = subprocess.run(
        ["arm-none-eabi-size", built], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1]
    code, data, bss = map(int, sizes.split()[:3])
    (usage,) = folder.glob("*.su")
    stack = sum(int(line.split("\t")[1]) for line in usage.read_text().splitlines())
    return f"code and constants {code:,}, data {data:,}, bss {bss:,}, stack {stack:,} bytes at most"


if __name__ == "__main__":
    main()
