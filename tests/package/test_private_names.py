"""Private names of numba, llvmlite and scikit-learn: each still is what fastnet takes it for.

A new version breaks some of them now and then. This says which, before anything else fails.
"""

import ast
import contextlib
import inspect
import re
from collections.abc import Iterator
from importlib.util import find_spec
from numbers import Real
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from fastnet import _sklearn
from fastnet.kernels import _jit, _numba

from .test_rooms import SOURCES

PRIVATE_PLACES = ("numba.core", "numba.np", "numba.misc", "llvmlite.binding", "sklearn.callback")
LIBRARIES = ("sklearn", "numba", "llvmlite")
ALLOWED = {"fastnet._sklearn", "fastnet.kernels._numba"}


def private_imports(path: Path) -> Iterator[str]:
    """Yield what a file takes of libraries that is private.

    That is what it imports, and what it calls by a dotted name or imports by a string.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in names if is_private(name))
        elif isinstance(node, ast.Attribute) and is_private(ast.unparse(node)):
            yield ast.unparse(node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (
                name.value
                for name in node.args
                if isinstance(name, ast.Constant) and is_private(name.value)
            )


def is_private(name: str) -> bool:
    """Return whether a dotted name is one of a library's that it may change without a word."""
    is_librarys = name.partition(".")[0] in LIBRARIES
    return is_librarys and (name.startswith(PRIVATE_PLACES) or bool(re.search(r"\._[^_]", name)))


@pytest.mark.parametrize("module", sorted(SOURCES.keys() - ALLOWED))
def test_private_names_are_imported_in_one_place_alone(module: str) -> None:
    assert list(private_imports(SOURCES[module])) == []


def test_they_are_found_where_they_stand() -> None:
    assert len(list(private_imports(SOURCES["fastnet._sklearn"]))) == 9
    assert len(list(private_imports(SOURCES["fastnet.kernels._numba"]))) == 21


@pytest.mark.parametrize(
    "line",
    [
        "import sklearn.utils._param_validation",
        "from numba.core import config",
        "numba.core.config.OPT",
        "importlib.import_module('numba.np.ufunc.omppool')",
    ],
)
def test_they_are_found_however_they_are_written(line: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(line)
    assert list(private_imports(tmp_path / "module.py"))


def parameters(function: Any) -> list[str]:
    """Return the names of a function's parameters."""
    return list(inspect.signature(function).parameters)


@numba.njit
def example(x: float) -> float:
    return x


class TestNumba:
    def test_cache(self) -> None:
        for name in ("load_overload", "save_overload", "enable", "disable", "flush"):
            assert callable(getattr(_numba.Cache, name))
        assert parameters(_numba.Cache.load_overload) == ["self", "sig", "target_context"]
        assert parameters(_numba.Cache.save_overload) == ["self", "sig", "data"]

    def test_dispatcher_has_a_cache_and_compiles_by_signature(self) -> None:
        assert isinstance(example._cache, _numba.Cache)
        assert parameters(example.compile) == ["sig"]

    def test_compile_result(self) -> None:
        assert callable(_numba.CompileResult._reduce)
        assert callable(_numba.CompileResult._rebuild)
        example(1.0)
        (result,) = example.overloads.values()
        assert result.library.has_dynamic_globals is False
        assert type(result.target_context) is type(_numba.cpu_target.target_context)

    def test_locators(self) -> None:
        locators = (
            _numba.InTreeCacheLocator, _numba.UserProvidedCacheLocator, _numba.UserWideCacheLocator,
        )  # fmt: skip
        for locator in locators:
            assert parameters(locator) == ["py_func", "py_file"]
            place = locator(example.py_func, __file__)
            assert isinstance(place.get_cache_path(), str)
            assert callable(place.ensure_cache_path)
        assert isinstance(
            _numba.CompileResultCacheImpl(example.py_func).locator.get_cache_path(), str
        )

    @pytest.mark.parametrize(
        "name",
        ["CACHE_DIR", "CACHE_LOCATOR_CLASSES", "DISABLE_JIT", "OPT", "LOOP_VECTORIZE",
         "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "NUMBA_NUM_THREADS",
         "THREADING_LAYER"],
    )  # fmt: skip
    def test_config(self, name: str) -> None:
        assert hasattr(_numba.config, name)

    def test_locks(self) -> None:
        for lock in (_numba.global_compiler_lock._lock, _numba.llvm.lib._lock._lock):
            assert lock._is_owned() is False

    def test_target(self) -> None:
        triple, name, features = _numba.cpu_target.target_context.codegen().magic_tuple()
        assert all(isinstance(part, str) for part in (triple, name, features))

    def test_runtime(self) -> None:
        assert callable(_numba.rtsys.initialize)
        assert isinstance(_numba.dumps((1, "x")), bytes)

    def test_threads(self) -> None:
        assert isinstance(_numba.numba_threads._is_initialized, bool)
        assert callable(_numba.numba_threads._launch_threads)
        with contextlib.suppress(ImportError):
            # Where numba has OpenMP.
            assert isinstance(_numba.openmp_vendor(), str)

    def test_cgutils(self) -> None:
        assert callable(_numba.cgutils.get_or_insert_function)

    def test_passes(self) -> None:
        names = ["self", "state", "work_list", "block", "i", "expr", "inline_worker"]
        assert parameters(_numba.InlineInlinables._do_work) == names
        assert callable(_numba.DefaultPassBuilder.define_untyped_pipeline)
        pasted = _jit.paste(lambda x: x + 1.0)
        kernel = _jit.serial_kernel(lambda x: pasted(x) * pasted(2.0 * x))
        assert kernel(3.0) == 28.0
        (result,) = kernel.overloads.values()
        # All that it calls was pasted; numba's own functions are linked.
        assert [library.name for library in result.library._linking_libraries] == ["nrt"]

    def test_functions_that_only_kernels_call_have_no_machine_code(self) -> None:
        twice = _jit.device(lambda x: 2.0 * x)
        kernel = _jit.serial_kernel(lambda x: twice(x) + 1.0)
        assert kernel(3.0) == 7.0
        (result,) = twice.overloads.values()
        assert result.library.get_pointer_to_function(result.fndesc.llvm_func_name) == 0
        result.library.enable_object_caching()
        with pytest.raises(RuntimeError, match="no compiled object"):
            result.library._get_compiled_object()

    def test_options(self) -> None:
        """Unknown ones are an error where something is compiled."""
        inlined, pasted = _jit.inline(lambda x: x + 1.0), _jit.paste(lambda x: x + 1.0)
        assert numba.njit(lambda x: inlined(x) + pasted(x))(1.0) == 4.0


class Quiet:
    """A callback that does nothing."""

    def setup(self, estimator: Any, context: Any) -> None:
        pass

    teardown = on_fit_task_begin = on_fit_task_end = setup


class TestScikitLearn:
    def test_functions(self) -> None:
        assert parameters(_sklearn.fit_context) == ["prefer_skip_nested_validation"]
        assert parameters(_sklearn.check_partial_fit_first_call) == ["clf", "classes"]
        assert parameters(_sklearn.check_sample_weight)[:2] == ["sample_weight", "X"]
        assert parameters(_sklearn.safe_indexing)[:2] == ["X", "indices"]
        names = ["parameter_constraints", "params", "caller_name"]
        assert parameters(_sklearn.validate_parameter_constraints) == names

    def test_constraints(self) -> None:
        assert _sklearn.StrOptions({"a", "b"}).options == {"a", "b"}
        assert 0.5 in _sklearn.Interval(Real, 0, 1, closed="neither")
        assert issubclass(_sklearn.InvalidParameterError, ValueError)

    @pytest.mark.skipif(
        find_spec("sklearn.callback") is None, reason="scikit-learn has callbacks from 1.9 on"
    )
    def test_callbacks(self) -> None:
        """`_sklearn` would go on without them, and nobody would know."""
        mixin: Any = _sklearn.CallbackSupportMixin
        assert mixin.__module__.startswith("sklearn.callback")
        model = mixin().set_callbacks(Quiet())
        assert len(model._skl_callbacks) == 1
        model._init_callback_context(max_subtasks=1)
        assert _sklearn.callback_state(model).keys() == set(_sklearn._DURING_FIT)

    def test_methods_of_an_estimator(self) -> None:
        assert callable(BaseEstimator._validate_params)
        assert BaseEstimator._get_param_names() == []

    @pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
    def test_attributes_of_a_network(self, kind: Any) -> None:
        assert {"alpha", "solver"} <= kind._parameter_constraints.keys()
        X = np.arange(400.0).reshape(200, 2)
        model = kind(hidden_layer_sizes=(2,), activation="logistic", max_iter=1)
        with pytest.warns(ConvergenceWarning):
            model.set_params(early_stopping=True).fit(X, np.arange(200) % 2)
        assert isinstance(model._no_improvement_count, int)
        assert len(model._best_coefs) == len(model._best_intercepts) == 2

    def test_its_labels(self) -> None:
        model = MLPClassifier((2,)).partial_fit(np.eye(2), [0, 1], classes=[0, 1])
        assert model._label_binarizer.y_type_ == "binary"
        assert model._label_binarizer.sparse_input_ is False
