"""The architecture as tests: imports go one way, and each heavy library has one door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("patterns_dsl", "compiler", "runtime", "testing", "cli")
INSIDE = sorted(path.relative_to(ROOT) for room in (*ROOMS, "library") for path in (ROOT / room).rglob("*.py"))
FILES = [*INSIDE, Path("__init__.py")]

# What each room may import from. library/ holds .pat files and their catalogue: everyone may read it.
ALLOWED = {
    "patterns_dsl": {"patterns_dsl", "library"},
    "library": {"library", "patterns_dsl", "compiler"},
    "compiler": {"compiler", "patterns_dsl", "library"},
    "runtime": {"runtime", "compiler", "patterns_dsl", "library", ""},
    "testing": {"testing", "runtime", "compiler", "patterns_dsl", "library", ""},
    "cli": {"cli", "testing", "runtime", "compiler", "patterns_dsl", "library", ""},
    "": {"runtime", "compiler", "patterns_dsl", "library", ""},
}
DOORS = {
    "islpy": {f"compiler/relations/isl/{file}.py" for file in ("context", "convex", "piecewise", "presburger")},
    "lark": {"patterns_dsl/parsing/parse.py"},
}


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """(absolute module name, line) of every import in the file, those inside functions and type checks included."""
    package = ("patternc", *file.parent.parts)
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module, node.lineno
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def room(module: str) -> str:
    """``patternc.compiler.verify`` -> ``compiler``; ``patternc`` -> the front door, ``""``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in (*ROOMS, "library") else ""


@pytest.mark.parametrize("file", FILES, ids=str)
def test_imports_go_one_way(file: Path) -> None:
    own = file.parts[0] if len(file.parts) > 1 else ""
    for module, line in imports(file):
        if module.split(".")[0] != "patternc":
            continue
        # `from . import x` names the package and then the module: the package alone says nothing at depth one.
        if module == "patternc" or (room(module) == "" and module.split(".")[1] == "__version__"):
            continue
        assert room(module) in ALLOWED[own], f"{file}:{line}: {own or 'the front door'} may not import {module}"


@pytest.mark.parametrize("library", DOORS)
def test_one_door_per_library(library: str) -> None:
    users = {str(file) for file in FILES if any(module.split(".")[0] == library for module, _ in imports(file))}
    assert users == DOORS[library]


def test_nothing_is_named_after_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert not [str(file) for file in FILES if file.stem in vague or vague & set(file.parts)]


@pytest.mark.parametrize("top", ["patterns_dsl", "compiler", "runtime", "testing", "runtime/engines/compose"])
def test_the_rooms_inside_depend_on_each_other_one_way(top: str) -> None:
    """A file that stands in no room of its own is a room."""
    base = Path(top).parts
    depth = len(base)
    rooms: nx.DiGraph[str] = nx.DiGraph()
    for file in INSIDE:
        if file.parts[:depth] == base and file.stem != "__init__":
            own = file.parts[depth].removesuffix(".py")
            for module, _ in imports(file):
                path = tuple(module.split(".")[1:])
                if path[:depth] == base and len(path) > depth and path[depth] != own:
                    rooms.add_edge(own, path[depth])
    assert rooms
    assert not list(nx.simple_cycles(rooms))
