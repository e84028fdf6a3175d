"""Import, first fit and first prediction of a fresh process: what a user waits for."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .checks import assert_close

SCRIPT = """
import warnings
import numpy as np
from {module} import {estimator}

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.standard_normal((1_000, 28))
y = X[:, 0] + rng.standard_normal(1_000) > 0
model = {estimator}((64,), solver="sgd", max_iter=20, random_state=0{options})
print(model.fit(X, y).predict_proba(X)[:, 1].mean())
"""
SCRIPTS = {
    "fastnet": SCRIPT.format(module="fastnet", estimator="SigmoidMLPClassifier", options=""),
    "scikit-learn": SCRIPT.format(
        module="sklearn.neural_network",
        estimator="MLPClassifier",
        options=', activation="logistic"',
    ),
}


def _run(contender: str, cache: Path) -> float:
    """Run a script in a process of its own and return the number that it prints."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPTS[contender]],
        env={
            **os.environ,
            "NUMBA_CACHE_DIR": str(cache),
            # What was kept beside the sources is not read.
            "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return float(result.stdout)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the caches of both, empty at first."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Return scikit-learn's result: the same seed gives the same model."""
    return _run("scikit-learn", tmp_path_factory.mktemp("unused_cache"))


@pytest.mark.parametrize("contender", SCRIPTS)
def test_cold(benchmark: BenchmarkFixture, cache: Path, expected: float, contender: str) -> None:
    """Nothing compiled yet: an empty cache."""
    assert not (cache / contender).exists()
    benchmark.group = "start-up: cold"
    benchmark.extra_info["contender"] = contender
    result = benchmark.pedantic(_run, (contender, cache / contender))
    assert_close(result, expected, np.float64)


@pytest.mark.parametrize("contender", SCRIPTS)
def test_warm(benchmark: BenchmarkFixture, cache: Path, expected: float, contender: str) -> None:
    """Everything compiled before: by the cold start or, where that was left out, by a first run."""
    benchmark.group = "start-up: warm"
    benchmark.extra_info["contender"] = contender
    assert_close(_run(contender, cache / contender), expected, np.float64)
    benchmark.pedantic(_run, (contender, cache / contender), rounds=5)
