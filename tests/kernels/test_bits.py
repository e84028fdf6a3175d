"""The bits depend neither on registers, nor on threads, nor on who runs the threads."""

import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest
from numba.core import config
from numba.core.codegen import get_host_cpu_features

pytestmark = pytest.mark.processes

# An earlier processor, with half the width and half as many registers.
HASWELL = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+bmi,+bmi2"}

FIT = """
import hashlib, warnings
import numpy as np
from scipy.sparse import csr_matrix
from fastnet import SigmoidMLPClassifier, SigmoidMLPRegressor

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y, weights = rng.normal(size=(300, 21)), rng.integers(3, size=300), rng.uniform(size=300)
digest = hashlib.sha256()
for dtype in (np.float32, np.float64):
    for matrix in (X.astype(dtype), csr_matrix(np.where(X > 1.5, X, 0).astype(dtype))):
        # The last one's parameters outgrow a cache: panels are taken together.
        for hidden, options in (
            ((13, 7), {"batch_size": 1}),
            ((13, 7), {"max_grad_norm": 0.1}),
            ((13, 7), {"solver": "rprop"}),
            ((600, 500), {}),
        ):
            model = SigmoidMLPClassifier(
                hidden, max_iter=2, random_state=0, n_jobs=1, **options
            ).fit(matrix, y, weights)
            for array in (*model.coefs_, *model.intercepts_, model.predict_proba(matrix)):
                digest.update(array.tobytes())
    for loss in ("squared_error", "poisson"):
        model = SigmoidMLPRegressor(loss, (13, 7), max_iter=2, random_state=0, n_jobs=1)
        model.fit(X.astype(dtype), np.abs(X[:, :2]), weights)
        for array in (*model.coefs_, *model.intercepts_, model.predict(X.astype(dtype))):
            digest.update(array.tobytes())
print(digest.hexdigest())
"""

# Prints a digest of what each number of workers computes, one alone first, and the layer.
WORKERS = """
import hashlib
import numba
import numpy as np
from scipy import sparse
from fastnet import kernels
from fastnet._engine import dispatch, losses, prediction
from fastnet._engine.features import Features
from fastnet._engine.network import Network
from fastnet._engine.solvers import Adam, Rprop
from fastnet._engine.trainer import Data, Trainer
from tests._support.workers import FromThreads, new_claims

class Everything(set):
    def __contains__(self, kind):
        return True

dispatch.MIN_CALL_WORK = dispatch.MIN_SHARED_WORK = dispatch.BLOCK_WORK = 0
dispatch._compiled = Everything()
dispatch.new_claims = lambda n_blocks, block_work: new_claims(n_blocks)
SHARED = {kernel.serial: kernel for kernel in vars(kernels).values()
          if isinstance(kernel, kernels.Kernel)}
used = set()
rows = np.arange(1100)

def in_threads(function, args, n_workers):
    used.add((SHARED[function], n_workers))
    FromThreads(function)(*args, 0, n_workers)

def in_parallel(function, args, n_workers):
    used.add((SHARED[function], n_workers))
    numba.set_num_threads(n_workers)
    SHARED[function].parallel(*args, 0, n_workers)

def fits(dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1100, 41)).astype(dtype)
    Y = rng.integers(2, size=(1100, 3)).astype(np.uint8)
    weights = rng.uniform(size=1100).astype(dtype)
    for hidden in ((33, 7), (600, 500)):
        plain = Data(Features.of(X), Y, weights[:0], rows)
        yield hidden, Adam(1e-3, 0.9, 0.999, 1e-8), plain, np.inf
        # Half of the elements, and so few that the first layer takes them one by one.
        for least, solver in ((0, Adam(1e-3, 0.9, 0.999, 1e-8)), (1.5, Rprop(1e-3))):
            features = Features.of(sparse.csr_array(np.where(X > least, X, 0)))
            yield hidden, solver, Data(features, Y, weights, rows), 0.01

def digest_of_training(n):
    dispatch.available_threads = lambda: n
    dispatch._budget.total = n
    digest = hashlib.sha256()
    for dtype in (np.float32, np.float64):
        for hidden, solver, data, max_grad_norm in fits(dtype):
            network = Network((41, *hidden, 3), True, np.dtype(dtype))
            params = network.initial_parameters("glorot_uniform", np.random.RandomState(0))
            solver.allocate(params.size, network.dtype)
            loss = losses.BINARY_LOG_LOSS
            trainer = Trainer(network, params, solver, loss, data, 1000, 1e-4, max_grad_norm, n)
            for _ in range(2):
                digest.update(str(trainer.epoch(data.rows)).encode() + params.tobytes())
            (p,), _ = prediction.forward(network, params, data.features, kernels.SIGMOID)
            digest.update(p.tobytes())
    return digest.hexdigest()

print(digest_of_training(1))
for share_out in (in_threads, in_parallel):
    dispatch._share_out = share_out
    for n_workers in (1, 2, 3, 7):
        used.clear()
        print(digest_of_training(n_workers))
        for kernel in (kernels.train_batches, kernels.train_blocks, kernels.forward):
            assert (kernel, n_workers) in used
print(numba.threading_layer())
"""

NEON = """
import llvmlite.binding as llvm
import numba
import numpy as np
from fastnet import kernels

llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
arm = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine("generic")
for dtype in (np.float32, np.float64):
    lanes = kernels.panel_lanes(dtype)
    a, delta = np.ones((2, 9, lanes), dtype), np.ones((2, lanes, lanes), dtype)
    weight = np.ones((9, lanes), dtype)
    calls = {
        kernels.dense_forward: (a, weight, delta, 1),
        kernels.dense_gradient: (a, delta, weight, 1),
        kernels.sigmoid_forward: (a.ravel(), 1),
    }
    for kernel, arguments in calls.items():
        compiled = numba.njit(error_model="numpy", _nrt=False)(kernel.serial.py_func)
        compiled(*arguments)
        (code,) = compiled.inspect_llvm().values()
        module = llvm.parse_assembly(code)
        module.triple = arm.triple
        module.data_layout = str(arm.target_data)
        print(arm.emit_assembly(module))
"""


def output_of(script, **environment):
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.skipif(
    "+avx2" not in get_host_cpu_features(), reason="the processor cannot run code for Haswell"
)
@pytest.mark.skipif(bool(config.CPU_NAME), reason="numba is told another processor already")
def test_same_bits_with_narrower_registers():
    assert output_of(FIT, **HASWELL) == output_of(FIT)


def test_code_for_neon_is_vectors_of_fused_multiply_adds():
    try:
        llvm.initialize_all_targets()
        llvm.Target.from_triple("aarch64-unknown-linux-gnu")
    except RuntimeError as error:
        pytest.skip(f"this build of LLVM has no ARM: {error}")
    assembly = output_of(NEON, **HASWELL)
    for lanes in ("4s", "2d"):
        assert assembly.count("fmla\tv") > 100
        assert f".{lanes}, v" in assembly
    # Nothing falls back on the C library's function, one element at a time.
    assert "fmaf" not in assembly
    assert "\tbl\tfma" not in assembly


def output_on(layer, script, n_threads):
    """Return what a script prints whose threads are of a layer; None if there is none here."""
    libraries = os.pathsep.join([f"{sys.prefix}/lib", os.environ.get("LD_LIBRARY_PATH", "")])
    environment = {"NUMBA_THREADING_LAYER": layer, "LD_LIBRARY_PATH": libraries}
    try:
        return output_of(script, NUMBA_NUM_THREADS=str(n_threads), **environment).split()
    except AssertionError as error:
        if "No threading layer could be loaded" not in str(error):
            raise
        return None


@pytest.fixture(scope="module")
def bits_of_layers():
    """Return what each threading layer prints, None for one that there is not."""
    return {layer: output_on(layer, WORKERS, 7) for layer in ("omp", "tbb", "workqueue")}


@pytest.mark.parametrize("layer", ["omp", "tbb", "workqueue"])
def test_same_bits_on_any_number_of_threads(bits_of_layers, layer):
    if bits_of_layers[layer] is None:
        pytest.skip(f"numba finds no {layer} here")
    *digests, name = bits_of_layers[layer]
    assert name == layer
    # One alone; then 1, 2, 3 and 7 workers in Python's threads, and in numba's.
    assert len(digests) == 9
    assert set(digests) == {bits_of_layers["workqueue"][0]}
