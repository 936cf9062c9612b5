"""Programs on disk: the same as a fresh one, and never one of another pattern, compiler or hand."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from patternc.compiler.cache import CacheWarning, digest, fresh
from patternc.compiler.lowering import lower, stored
from patternc.compiler.passes.program import Program, Tile
from patternc.compiler.pattern import loads

TEXT = "pattern window(w: int = 24) causal { step local(w) | columns(first(4)) }"
TILE = Tile(16, 16)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATTERNC_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was compiled."""
    names: list[str] = []
    right = lower.lower

    def counted(expression: Any, direction: Any, name: str, *more: Any) -> Any:
        names.append(name)
        return right(expression, direction, name, *more)

    monkeypatch.setattr(lower, "lower", counted)
    return names


def program(text: str = TEXT, name: str = "window", tile: Tile = TILE, table: int = 0) -> Program:
    bound = loads(text)[name].bound
    return stored.stored(bound.union, bound.direction, name, tile, table)


@pytest.fixture
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.usefixtures("quiet")
def test_a_program_is_compiled_once(compilations: list[str], directory: Path) -> None:
    first = program()
    assert [path.suffix for path in directory.iterdir()] == [".txt"]
    assert program() == first
    assert compilations == ["window"]


@pytest.mark.usefixtures("quiet")
def test_whatever_a_program_depends_on_is_in_its_key(compilations: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    program()
    others = [
        program(TEXT.replace("24", "25")),
        program(TEXT.replace(" causal", " bidirectional")),
        program(TEXT.replace("pattern window", "pattern other"), "other"),
        program("\n" + TEXT),  # its comments name the lines
        program(TEXT.replace("local(w) |", "local(w)  |")),
        program(tile=Tile(32, 16)),
        program(table=32),
    ]
    assert [term.line for term in others[3].terms] == [2] * len(others[3].terms)
    assert others[5].tile == Tile(32, 16)
    assert (others[6].table, program(table=32).table, program().table) == (32, 32, 0)
    monkeypatch.setattr(stored, "compiler_digest", lambda: "another compiler")
    program()
    assert len(compilations) == 9


@pytest.mark.usefixtures("quiet")
def test_fresh_touches_no_disk(compilations: list[str], directory: Path) -> None:
    with fresh():
        first = program()
    assert not list(directory.iterdir())
    assert program() == first
    with fresh():
        program()
    assert len(compilations) == 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: b"\xff" + content,
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"23", b"24"),
        lambda content: content.split(b"\n", 1)[1],
    ],
)
def test_a_broken_or_edited_entry_is_compiled_again(compilations: list[str], directory: Path, spoil: Any) -> None:
    first = program()
    [path] = directory.iterdir()
    content = path.read_bytes()
    path.write_bytes(spoil(content))
    with pytest.warns(CacheWarning, match="compiled anew"):
        assert program() == first
    assert path.read_bytes() == content
    assert len(compilations) == 2


def test_an_entry_with_a_right_digest_that_is_no_program_is_compiled_again(directory: Path) -> None:
    first = program()
    [path] = directory.iterdir()
    head, text = path.read_text().split("\n")
    hostile = text.replace('"I"', '"exit()"')
    assert hostile != text
    path.write_text(head.replace(digest(text), digest(hostile)) + "\n" + hostile)
    with pytest.warns(CacheWarning, match="compiled anew: .* is no integer expression"):
        assert program() == first


def test_a_disk_that_refuses_costs_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PATTERNC_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(CacheWarning, match="PATTERNC_CACHE_DIR"):
        assert program().name == "window"


def test_two_processes_at_once(directory: Path) -> None:
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "from patternc.compiler.pattern import loads\n"
        "from patternc.compiler.lowering.stored import stored\n"
        "for w in range(20, 26):\n"
        "    bound = loads('pattern p(w: int) causal { step local(w) }')['p'].bind(w=w).bound\n"
        "    stored(bound.union, bound.direction, 'p')\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert len(list(directory.iterdir())) == 6


def test_the_digest_covers_every_file_that_makes_programs() -> None:
    """Whatever of the compiler a process loads that lowers."""
    code = (
        "import sys\n"
        "import patternc.compiler.lowering.lower, patternc.compiler.lowering.stored\n"
        "modules = [m for name, m in sys.modules.items() if name.startswith('patternc.compiler.')]\n"
        "print('\\n'.join(m.__file__ for m in modules))\n"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    files = {Path(line).resolve() for line in loaded if not line.endswith("__init__.py")}
    assert len(files) > 20
    assert files <= {path.resolve() for path in stored.compiler_files()}
