"""The bits do not depend on how wide the processor's registers are."""

import os
import subprocess
import sys

import pytest
from numba.core import config
from numba.core.codegen import get_host_cpu_features

# An earlier processor, with half the width and half as many registers.
HASWELL = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+bmi,+bmi2"}

FIT = """
import hashlib, warnings
import numpy as np
from fastnet import SigmoidMLPClassifier

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y = rng.normal(size=(300, 21)), rng.integers(3, size=300)
digest = hashlib.sha256()
for dtype in (np.float32, np.float64):
    for batch_size in (1, 100):
        model = SigmoidMLPClassifier(
            (13, 7), batch_size=batch_size, max_iter=2, random_state=0, n_jobs=1
        ).fit(X.astype(dtype), y)
        for array in (*model.coefs_, *model.intercepts_, model.predict_proba(X.astype(dtype))):
            digest.update(array.tobytes())
print(digest.hexdigest())
"""


def digest_of_fit(**environment):
    run = subprocess.run(
        [sys.executable, "-c", FIT],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=True,
    )
    return run.stdout


@pytest.mark.skipif(
    "+avx2" not in get_host_cpu_features(), reason="the processor cannot run code for Haswell"
)
@pytest.mark.skipif(bool(config.CPU_NAME), reason="numba is told another processor already")
def test_same_bits_with_narrower_registers():
    assert digest_of_fit(**HASWELL) == digest_of_fit()
