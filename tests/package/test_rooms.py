"""Who imports whom: arrows between rooms go one way, and none goes in a circle.

Imports under ``TYPE_CHECKING``, and within functions, count.
"""

import ast
import sys
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
    # The estimators' classes, which only fill in what the estimator's room leaves open.
    "classes": {"estimator", "_engine", "kernels", "numpy", "scipy", "sklearn"},
    "_files": {"_files", "classes", "estimator", "_engine", "kernels", "numpy", "sklearn"},
    # A fitted model as one network, and what is made of that.
    "serving": {"serving", "classes", "estimator", "_engine", "kernels", "numpy", "scipy"}
    | {"sklearn"},
    "export": {"export", "serving", "classes", "estimator", "_engine", "kernels", "numpy", "numba"}
    | {"llvmlite"},
    "interface": {"interface", "export", "serving", "_files", "classes", "estimator", "_engine"}
    | {"kernels", "numpy", "scipy", "sklearn", "numba"},
    "__pyinstaller": {"PyInstaller"},
}
# Rooms that are not folders, and their modules.
MODULES = {
    "interface": ["", "__main__", "_commands", "_show_versions", "_warmup"],
    "serving": ["_folding", "_predictor"],
    "classes": ["_classifier", "_regressor"],
    "estimator": [
        "_attributes", "_base", "_convert", "_fit", "_hardly_moved", "_inputs", "_kept", "_labels",
        "_mlp", "_sklearn", "_tasks", "_validation", "_version", "_warnings",
    ],
}  # fmt: skip
ROOM_OF = {module: name for name, modules in MODULES.items() for module in modules}


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
    package, *parts = module.split(".")
    if package != "fastnet":
        return package
    part = parts[0] if parts else ""
    return part if part in ROOMS else ROOM_OF[part]


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
    """Return what a module imports, but for the standard library and itself."""
    names = set(imports(module)) - {module}
    return {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}


def wrong_arrows(module: str) -> dict[str, str]:
    """Return what a module may not import, and in which room that is."""
    rooms = {name: room(name) for name in ours_and_others(module)}
    return {name: r for name, r in rooms.items() if r not in ROOMS[room(module)]}


def circle() -> list[str]:
    """Return modules that import one another in a circle, if any do."""
    graph = {
        module: {name for name in ours_and_others(module) if name in SOURCES} for module in SOURCES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_a_module_imports_what_its_room_may(module: str) -> None:
    assert wrong_arrows(module) == {}


def test_no_import_goes_in_a_circle() -> None:
    assert circle() == []


def test_every_module_has_its_room_and_every_room_its_modules() -> None:
    assert {room(module) for module in SOURCES} == ROOMS.keys()
    top = {module.removeprefix("fastnet").lstrip(".") for module in SOURCES}
    assert {name for name in top if name.partition(".")[0] not in ROOMS} == ROOM_OF.keys()


def test_imports_are_read_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "if TYPE_CHECKING:\n    from .._classifier import SigmoidMLPClassifier\n"
        "def f():\n    from . import trainer\n    import sklearn.base, pandas, os\n"
    )
    monkeypatch.setitem(SOURCES, "fastnet._engine.module", path)
    wrong = {"fastnet._classifier": "classes", "sklearn.base": "sklearn", "pandas": "pandas"}
    assert ours_and_others("fastnet._engine.module") == {"fastnet._engine.trainer", *wrong}
    assert wrong_arrows("fastnet._engine.module") == wrong


def test_a_circle_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        (tmp_path / f"{name}.py").write_text(f"def f():\n    from .{other} import g\n")
        monkeypatch.setitem(SOURCES, f"fastnet._engine.{name}", tmp_path / f"{name}.py")
    assert set(circle()) == {"fastnet._engine.one", "fastnet._engine.two"}
