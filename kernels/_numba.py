"""Imports of what is not public in numba and llvmlite: not in `numba` or `numba.extending`.

No other module imports such a name. `tests/package/test_private_names.py` says which one broke.
"""

from importlib import import_module

from llvmlite.binding import ffi as llvm
from numba.core import cgutils, config
from numba.core.caching import (
    CompileResultCacheImpl,
    InTreeCacheLocator,
    UserProvidedCacheLocator,
    UserWideCacheLocator,
)
from numba.core.caching import (
    _Cache as Cache,
)
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompileResult, DefaultPassBuilder
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.core.serialize import dumps
from numba.core.untyped_passes import InlineInlinables
from numba.np.ufunc import parallel as numba_threads

__all__ = [
    "Cache",
    "CompileResult",
    "CompileResultCacheImpl",
    "Compiler",
    "DefaultPassBuilder",
    "FunctionPass",
    "InTreeCacheLocator",
    "InlineInlinables",
    "JITCodeLibrary",
    "UserProvidedCacheLocator",
    "UserWideCacheLocator",
    "cgutils",
    "config",
    "cpu_target",
    "dumps",
    "global_compiler_lock",
    "llvm",
    "numba_threads",
    "openmp_vendor",
    "register_pass",
    "rtsys",
]


def openmp_vendor() -> str:
    """Return whose OpenMP runs numba's threads; elsewhere there is no such module."""
    return str(import_module("numba.np.ufunc.omppool").openmp_vendor)
