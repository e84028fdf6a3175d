"""Train a network here, and run it in a program in C: written, compiled, and compared.

Writes iris.h and main.c to the current directory, and the program iris where there is a compiler.
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPClassifier
from fastnet.export import to_c

PROGRAM = """\
#include "iris.h"
#include <stdio.h>

int main(void)
{
    float x[IRIS_N_FEATURES], p[IRIS_N_OUTPUTS];
    while (scanf("%f %f %f %f", &x[0], &x[1], &x[2], &x[3]) == 4) {
        const int k = iris_predict(x);
        iris_predict_proba(x, p);
        printf("%s %.4f\\n", iris_label(k), (double)p[k]);
    }
    return 0;
}
"""

iris = load_iris()
X, y = iris.data.astype(np.float32), iris.target_names[iris.target]
network = SigmoidMLPClassifier((6,), solver="lbfgs", max_iter=1000, alpha=0.01, random_state=0)
model = make_pipeline(StandardScaler(), network).fit(X, y)

# The scaler is folded into the first layer.
Path("iris.h").write_text(to_c(model, "iris"))
Path("main.c").write_text(PROGRAM)
print(f"Wrote iris.h, {Path('iris.h').stat().st_size:,} bytes, and main.c")

compiler = shutil.which("cc")
if compiler is None:
    print("There is no compiler for C here.")
else:
    command = [compiler, "-O2", "-Wall", "-Werror", "main.c", "-o", "iris", "-lm"]
    subprocess.run(command, check=True)
    rows = "\n".join(" ".join(map(str, row)) for row in X)
    done = subprocess.run(["./iris"], input=rows, capture_output=True, text=True, check=True)
    labels = [line.split()[0] for line in done.stdout.splitlines()]
    print(done.stdout.splitlines()[0])
    print(f"{np.mean(labels == model.predict(X)):.0%} of labels as in Python")
