"""Who imports whom: arrows between rooms go one way, and none goes in a circle.

Imports under ``TYPE_CHECKING``, and within functions, count.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fastnet
from fastnet import kernels

FASTNET, KERNELS = (Path(str(module.__file__)).parent for module in (fastnet, kernels))

# What each room may import, of our own and of others; the standard library is free.
ROOMS = {
    "kernels": {"kernels", "numpy", "numba", "llvmlite"},
    "_engine": {"_engine", "kernels", "numpy", "scipy", "numba", "joblib"},
    "estimator": {"estimator", "_engine", "kernels", "numpy", "scipy", "sklearn"},
    "_files": {"_files", "estimator", "_engine", "numpy", "sklearn"},
    "interface": {"interface", "_files", "estimator", "_engine", "kernels", "numpy", "scipy"}
    | {"sklearn", "numba"},
}
# Modules of `fastnet` that nothing else imports, next to the ones of the estimator.
INTERFACE = {"fastnet", "fastnet.__main__", "fastnet._show_versions"}
OTHERS = {"numpy", "scipy", "sklearn", "numba", "llvmlite", "joblib"}


def sources() -> dict[str, Path]:
    """Return each module's file, by its name."""
    found = {f"fastnet.kernels.{path.stem}": path for path in KERNELS.glob("*.py")}
    for path in FASTNET.rglob("*.py"):
        parts = ("fastnet", *path.relative_to(FASTNET).with_suffix("").parts)
        if parts[1] != "kernels":
            found[".".join(parts)] = path
    return {name.removesuffix(".__init__"): path for name, path in found.items()}


SOURCES = sources()


def room(module: str) -> str:
    """Return the room that a module is in; of a library, its name."""
    package, _, rest = module.partition(".")
    if package != "fastnet":
        return package
    if module in INTERFACE:
        return "interface"
    part = rest.partition(".")[0]
    return part if part in ROOMS else "estimator"


def imports(module: str) -> Iterator[str]:
    """Yield the modules that a module imports, wherever in its file."""
    path = SOURCES[module]
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                base = f"{above}.{base}".rstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in SOURCES else base


def ours_and_others(module: str) -> set[str]:
    """Return what a module imports, but for the standard library and the package it is in."""
    found = set()
    for name in imports(module):
        if name in SOURCES or name.partition(".")[0] in OTHERS | {"fastnet"}:
            found.add(name)
    return found - {module}


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_a_module_imports_what_its_room_may(module: str) -> None:
    rooms = {name: room(name) for name in ours_and_others(module)}
    assert {name: r for name, r in rooms.items() if r not in ROOMS[room(module)]} == {}


def test_no_import_goes_in_a_circle() -> None:
    graph = {
        module: {name for name in ours_and_others(module) if name in SOURCES} for module in SOURCES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_imports_are_read_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "if TYPE_CHECKING:\n    from .._classifier import SigmoidMLPClassifier\n"
        "def f():\n    from . import trainer\n    import sklearn.base\n"
    )
    monkeypatch.setitem(SOURCES, "fastnet._engine.module", path)
    expected = {"fastnet._classifier", "fastnet._engine.trainer", "sklearn.base"}
    assert ours_and_others("fastnet._engine.module") == expected
    assert {room(name) for name in expected} == {"estimator", "_engine", "sklearn"}
