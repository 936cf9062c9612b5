"""Plans on disk: the same as a fresh one, and never one of another program, length, price or hand."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from patternc.compiler.cache import CacheWarning, digest, fresh
from patternc.compiler.lowering.stored import compiler_files, stored
from patternc.compiler.passes.program import Program
from patternc.compiler.pattern import loads
from patternc.runtime.engines.compose.lengths.trim import milestone
from patternc.runtime.engines.compose.planning import arranged, on_disk
from patternc.runtime.engines.compose.planning.on_disk import planner_files
from patternc.runtime.engines.compose.pricing.machine import price_here
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.routes import plan

N = 16384
PATTERNS = (
    "pattern p causal { step local(300) | columns(first(4)) }",
    "pattern p bidirectional { step block(48) | global(first(3)) }",
    "pattern p causal { step strided(512) }",
    "pattern p causal { step { (i, j) : j = i - 5 and i mod 3 = 0 or j = i } }",
)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATTERNC_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def planned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths that were planned."""
    lengths: list[int] = []
    right = arranged._parts

    def counted(program: Program, sweep: Any, n: int, *more: Any) -> Any:
        lengths.append(n)
        return right(program, sweep, n, *more)

    monkeypatch.setattr(arranged, "_parts", counted)
    return lengths


@pytest.fixture
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def program(text: str = PATTERNS[0]) -> Program:
    bound = loads(text)["p"].bound
    return stored(bound.union, bound.direction, "p")


def price(heads: int = 2) -> Price:
    return price_here(Heads(1, heads, 1, 64), torch.float32, backward=False)


def found(of: Program, n: int = N, heads: int = 2) -> list[Any]:
    return plain(plan(of, n, n, price(heads), torch.float32).stages)


def plain(value: Any) -> Any:
    """What can be compared."""
    match value:
        case np.ndarray() | Tensor():
            return value.dtype, value.tolist()
        case tuple():
            return [plain(part) for part in value]
        case _ if hasattr(value, "__dataclass_fields__"):
            return [plain(getattr(value, name)) for name in value.__dataclass_fields__]
    return value


def entries(directory: Path) -> list[Path]:
    return sorted(directory.glob("blocks_*"))


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("text", PATTERNS)
def test_a_plan_is_made_once(text: str, directory: Path, planned: list[int]) -> None:
    with fresh():
        right = found(program(text))
    planned.clear()
    assert found(program(text)) == right
    sweeps = len(planned)
    assert found(program(text)) == right
    assert len(planned) == sweeps > 0
    assert len(entries(directory)) == 1


@pytest.mark.usefixtures("quiet")
def test_whatever_a_plan_depends_on_is_in_its_key(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    found(program())
    found(program(PATTERNS[0].replace("300", "301")))
    found(program(), 2 * N)
    found(program(), heads=3)
    monkeypatch.setattr(on_disk, "_planner", lambda: "another planner")
    found(program())
    assert len(entries(directory)) == 5


@pytest.mark.usefixtures("quiet")
def test_what_is_no_program_of_the_disk_is_not_kept(directory: Path) -> None:
    changed = replace(program(), terms=program().terms)
    assert program().entry
    assert not changed.entry
    found(changed)
    with fresh():
        found(program())
    found(program(), N - 1)
    found(program(), 4096)
    assert not entries(directory)


@pytest.mark.usefixtures("quiet")
def test_round_lengths_are_few_and_milestones() -> None:
    lengths = {on_disk.rounded(n) for n in range(8193, 16385)}
    assert len(lengths) == 4
    of = program()
    assert all(milestone(of, n, n) in lengths for n in range(8193, 16384, 97))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: b"\xff" + content,
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"128", b"129"),
        lambda content: content.split(b"\n", 1)[1],
    ],
)
def test_a_broken_or_edited_entry_is_planned_again(directory: Path, spoil: Any) -> None:
    right = found(program())
    [path] = entries(directory)
    content = path.read_bytes()
    path.write_bytes(spoil(content))
    assert spoil(content) != content
    with pytest.warns(CacheWarning, match="planned anew"):
        assert found(program()) == right
    assert path.read_bytes() == content


def test_an_entry_of_another_is_planned_again(directory: Path) -> None:
    right = found(program())
    [path] = entries(directory)
    found(program(PATTERNS[1]))
    [other] = set(entries(directory)) - {path}
    path.write_bytes(other.read_bytes())
    with pytest.warns(CacheWarning, match="planned anew: it is not as it was written"):
        assert found(program()) == right


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "7",
        "nothing",
        '[[[[null,0,0,1,0,1.5,2,3,4,5,6,7,0]]],[],""]',
        '[[[[null,0,0,1,true,1,2,3,4,5,6,7,0]]],[],""]',
        '[[[[0,0,0,1,0,1,2,3,4,5,6,7,0]]],[],""]',
        '[[[[null,0,0,1]]],[],""]',
        '[[],[[2,3]],"!"]',
        '[[],[[2,3]],"eJwDAAAAAAE="]',
        '[[],[[-2,3]],"eJwDAAAAAAE="]',
        "[" * 100_000,
    ],
)
def test_other_texts_are_no_blocks(text: str, directory: Path) -> None:
    with pytest.raises(ValueError, match=r".+"):
        on_disk.read(text)
    right = found(program())
    [path] = entries(directory)
    head = path.read_text().split("\n")[0].rsplit(" ", 1)[0]
    path.write_text(f"{head} {digest(text)}\n{text}")
    with pytest.warns(CacheWarning, match="planned anew"):
        assert found(program()) == right


def test_a_mask_of_another_shape_is_refused() -> None:
    of = program(PATTERNS[1])
    parts = [arranged._parts(of, sweep, N, N, price()) for sweep in arranged.sweeps(of)]
    text = on_disk.write(parts)
    mask = next(part.mask for sweep in parts for part in sweep if isinstance(part.mask, np.ndarray))
    rows, keys = mask.shape
    assert f"[{rows},{keys}]" in text
    with pytest.raises(ValueError, match="shape"):
        on_disk.read(text.replace(f"[{rows},{keys}]", f"[{rows // 2},{2 * keys}]"))


def test_the_digest_covers_every_file_that_plans() -> None:
    """But for the nodes of a text: a program has none."""
    code = (
        "import sys\n"
        "import patternc.runtime.engines.compose.planning.arranged\n"
        "modules = [m for name, m in sys.modules.items() if name.startswith('patternc.')]\n"
        "print('\\n'.join(m.__file__ for m in modules))\n"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    files = {Path(line).resolve() for line in loaded if not line.endswith("__init__.py")}
    assert len(files) > 20
    known = {path.resolve() for path in (*planner_files(), *compiler_files())}
    assert {path.parent.name for path in files - known} <= {"syntax", "diagnostics"}
