"""``python -m fastnet warmup`` leaves nothing to compile."""

import os
import subprocess
import sys

import pytest

from fastnet.__main__ import main

pytestmark = pytest.mark.processes

LATER = """
import warnings
from itertools import product
import numpy as np
from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.standard_normal((1_000, 20)).astype(np.float32)
y = rng.integers(0, 3, len(X))
ways = (((5,), 3, "adam"), ((100,), 300, "adam"), ((600, 600), 100, "adam"), ((9,), 1, "rprop"))
kinds = (SigmoidMLPClassifier, SigmoidMLPRegressor)
for n_jobs in (1, None):
    for (hidden, batch_size, solver), kind in product(ways, kinds):
        model = kind(
            hidden_layer_sizes=hidden, batch_size=batch_size, solver=solver, max_iter=1,
            n_jobs=n_jobs, max_grad_norm=1.0,
        )
        model.fit(X, y).predict(X)
        model.fit(X, y, np.ones(len(X)))
        model.input_gradients(X)
        model.sample_gradients(X, y)
"""


def python(cache, *arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        env={
            **os.environ,
            "NUMBA_CACHE_DIR": str(cache),
            # What was kept beside the sources is not read.
            "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return cache, python(cache, "-m", "fastnet", "warmup", "--dtypes", "float32")


def test_it_says_what_it_did(warm):
    cache, result = warm
    assert result.returncode == 0, result.stderr
    *_, folder = result.stdout.split()
    assert folder.startswith(str(cache))
    assert result.stdout.count("float32") == 11


def test_every_kernel_is_in_the_cache(warm):
    cache, _ = warm
    names = [path.name.split(".")[1].split("-")[0] for path in cache.rglob("*.nbc")]
    of_targets = ("train_blocks", "train_batches", "train_rows", "sample_gradients")
    for name in of_targets:
        assert names.count(name) == 2
    for name in ("forward", "input_gradients", "forward_rows", "shuffle"):
        assert names.count(name) == 1


def test_nothing_is_compiled_later(warm):
    cache, _ = warm
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.nbc")}
    result = python(cache, "-c", LATER)
    assert result.returncode == 0, result.stderr
    assert before == {path: path.stat().st_mtime_ns for path in cache.rglob("*.nbc")}


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["warm"])
    assert "invalid choice" in capsys.readouterr().err
