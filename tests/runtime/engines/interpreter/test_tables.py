"""Seeded tables under the kernels, against the reference engine: each form of a call, forward and backward."""

from __future__ import annotations

import pytest
import torch

import patternc as pc
from patternc.compiler.passes.program import Tile
from patternc.runtime.errors import EngineError
from patternc.runtime.learned.seeded import passes
from patternc.testing.agreement import Eager, agree, budgets, results
from patternc.testing.verify.engines import tiled

MODULE = pc.loads("""
pattern blocky bidirectional { step blocks(local(2) | global(first(1)), 16) | random(2, 16) }
pattern ragged causal { step local(5) | random(3, 7, seed = 3) - columns({3, 11..20}) }
pattern tokens causal { step self | random(3) }
pattern alone bidirectional { step random(2, 16) }
pattern behind causal { step blocks(local(2), 16) | random(2, 16) }
pattern ends bidirectional { step blocks(local(2) | global(first(1) | last(1)), 16) | random(3, 16) }
""")
N = 37
INT = torch.int32
CALLS = {
    "whole": (N, {"softcap": 2.0}),
    "padded": (N, {"spans": torch.tensor([[6, N], [0, 31]], dtype=INT)}),
    "one row": (1, {"query_offset": N - 1}),
    "late rows": (9, {"query_offset": 19}),
    "late rows, padded": (9, {"query_offset": 19, "spans": torch.tensor([[3, 25], [20, N]], dtype=INT)}),
}


def tensors(rows: int, dtype: torch.dtype = torch.float32):
    torch.manual_seed(0)
    return [torch.randn(2, heads, n, 16).to(dtype) for heads, n in ((4, rows), (2, N), (2, N))]


def compiled(name: str, engine: str, dtype: torch.dtype = torch.float32):
    program = pc.compile(MODULE[name], head_dim=16, dtype=dtype, engine=engine)
    return tiled(program, Tile(16, 16)) if engine == "triton" else program


@pytest.mark.parametrize(
    ("name", "call"),
    [
        *(("blocky", call) for call in CALLS),
        ("ragged", "whole"),
        ("ragged", "late rows, padded"),
        ("tokens", "one row"),
        ("alone", "whole"),
    ],
)
def test_as_the_reference(name: str, call: str) -> None:
    rows, arguments = CALLS[call]
    mine, theirs = (results(compiled(name, engine), tensors(rows), **arguments) for engine in ("triton", "reference"))
    agree(mine, theirs, budget=2e-5)


def lists_apart(*given: object) -> None:
    raise AssertionError("these lists are taken by the kernels of the program")


@pytest.mark.parametrize(
    ("name", "rows", "heads", "softcap"),
    [
        ("behind", 64, (4, 2), None),  # readers of a key block: several heads of a group
        ("ends", 85, (1, 1), 2.0),  # the ragged block is read anyway, so that none is listed
        ("ends", 80, (2, 1), None),
    ],
)
def test_whole_blocks_are_taken_by_the_same_kernels(
    name: str, rows: int, heads: tuple[int, int], softcap: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("patternc.runtime.learned.seeded.passes.add_lists", lists_apart)
    monkeypatch.setattr("patternc.runtime.learned.seeded.passes.add_gradients", lists_apart)
    torch.manual_seed(0)
    given = [torch.randn(1, count, rows, 16) for count in (heads[0], heads[1], heads[1])]
    mine, theirs = (results(compiled(name, engine), given, softcap=softcap) for engine in ("triton", "reference"))
    agree(mine, theirs, budget=2e-5)


@pytest.mark.parametrize(
    ("rows", "arguments"),
    [
        (53, {}),  # a ragged block is drawn
        (64, {"spans": torch.tensor([[0, 60]], dtype=INT)}),
        (16, {"query_offset": 48}),
    ],
)
def test_other_blocks_are_lists_apart(rows: int, arguments: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    own = passes.add_lists
    monkeypatch.setattr(passes, "add_lists", lambda *given: asked.append(given) or own(*given))
    torch.manual_seed(0)
    keys = 53 if rows == 53 else 64
    given = [torch.randn(1, 2, size, 16) for size in (rows, keys, keys)]
    mine, theirs = (results(compiled("behind", engine), given, **arguments) for engine in ("triton", "reference"))
    assert asked
    agree(mine, theirs, budget=2e-5)


@pytest.mark.parametrize("name", ["blocky", "ragged"])
def test_low_precision_is_added_up_where_it_is(name: str) -> None:
    """Blocks of 16 tokens and more into gradients of the data type, smaller ones into wider sums."""
    inputs = tensors(N, torch.bfloat16)
    exact = results(pc.compile(MODULE[name], head_dim=16, dtype=torch.float64, engine="reference"), inputs)
    eager = results(Eager(MODULE[name].mask(N), torch.bfloat16), inputs)
    agree(
        results(compiled(name, "triton", torch.bfloat16), inputs), exact, budget=budgets(eager, exact, torch.bfloat16)
    )


@pytest.mark.parametrize(("name", "call"), [("alone", "whole"), ("ragged", "padded"), ("blocky", "one row")])
def test_a_batch_that_one_grid_does_not_hold(monkeypatch: pytest.MonkeyPatch, name: str, call: str) -> None:
    monkeypatch.setattr("patternc.runtime.learned.kernels.shares.LARGEST_GRID_Y", 2)
    monkeypatch.setattr("patternc.runtime.engines.triton.launching._LARGEST_GRID_Y", 4)
    test_as_the_reference(name, call)


def test_wide_heads_are_refused_whatever_the_pattern_is_made_of() -> None:
    for name in ("alone", "blocky"):
        with pytest.raises(EngineError, match="head dimension 260 is over 256 for engine 'triton'; engine='compose'"):
            pc.compile(MODULE[name], head_dim=260, engine="triton")


def test_heads_of_other_patterns_beside() -> None:
    groups = [((0, 3), MODULE["blocky"]), ((1,), MODULE["alone"])]
    given = [x.requires_grad_() for x in tensors(N)]
    found = []
    for engine in ("triton", "reference"):
        out, lse = pc.compile_heads(groups, heads=4, head_dim=16, engine=engine)(*given, return_lse=True)
        found.append((out, lse, *torch.autograd.grad(out.sin().sum(), given)))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs)
