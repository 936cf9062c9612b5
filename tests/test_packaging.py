"""The wheel holds every package and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import patternc

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {"tests", "benchmarks", "docs", "build", "dist", "out"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_listed() -> None:
    found = {"patternc"}
    for file in ROOT.rglob("*.py"):
        folder = file.relative_to(ROOT).parent
        if folder.parts and folder.parts[0] not in OUTSIDE and not folder.parts[0].startswith("."):
            found.add(".".join(["patternc", *folder.parts]))
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found


def test_every_package_is_a_package() -> None:
    for name in PROJECT["tool"]["setuptools"]["packages"]:
        assert (ROOT.joinpath(*name.split(".")[1:]) / "__init__.py").is_file(), name


def test_data_files_are_listed() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    listed = {
        file
        for package, globs in data.items()
        for glob in globs
        for file in ROOT.joinpath(*package.split(".")[1:]).glob(glob)
    }
    rooms = [ROOT / room for room in ("patterns_dsl", "compiler", "runtime", "library")]
    present = {
        file
        for room in rooms
        for file in room.rglob("*")
        if file.is_file() and file.suffix != ".py" and "__pycache__" not in file.parts
    }
    # An editor loads its extension from a folder of its own: docs/editors.md copies or links it from a checkout.
    present -= {file for file in present if file.is_relative_to(ROOT / "patterns_dsl" / "vscode")}
    assert present <= listed


def test_versions_agree() -> None:
    assert PROJECT["project"]["version"] == patternc.__version__


def test_every_dependency_is_pinned() -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in constraints.splitlines() if "==" in line}
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    wanted += [entry for extra in PROJECT["project"]["optional-dependencies"].values() for entry in extra]
    names = {match[0].lower().replace("_", "-") for entry in wanted if (match := re.match(r"[\w.-]+", entry))}
    assert names <= pinned
