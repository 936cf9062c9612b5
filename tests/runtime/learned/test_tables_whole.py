"""Patterns with seeded tables as one table of all pairs: what it holds, when it is taken, and what it computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from learned_layers import close

import patternc as pc
from patternc.compiler.passes.pinned import Pinned
from patternc.compiler.report.prediction import in_words
from patternc.runtime.engines.compose import routes
from patternc.runtime.engines.compose.engine import ComposeEngine
from patternc.runtime.engines.compose.planning.pairs import PairTable
from patternc.runtime.engines.engine import Call
from patternc.runtime.errors import EngineError
from patternc.runtime.learned.pricing.speeds import assume
from patternc.runtime.learned.seeded import pairs
from patternc.runtime.learned.seeded.pairs import table_of
from patternc.runtime.learned.seeded.weighed import taken
from patternc.testing.agreement import agree, results
from patternc.testing.machines import PLAIN_SPEEDS, SLOW_LISTS

MODULE = pc.loads("""
pattern blocky bidirectional { step blocks(local(2) | global(first(1) | last(1)), 8) | random(2, 8) }
pattern ragged causal { step local(5) | random(2, 7, seed = 3) - columns({3, 11..20}) }
pattern tokens causal { step self | random(3) }
pattern alone bidirectional { step random(2, 5) }
pattern two causal { step local(2) | random(3, 6) | random(2, 4, seed = 1) & { (i, j) : (i - j) mod 2 = 0 } }
pattern strided causal { step strided(9) | random(2, 3) }
pattern length causal { step self | random(2, 5) & { (i, j) : j < n - 20 } }
pattern over cross { step { (i, j) : j < 3 } | random(2, 6) }
pattern nearly causal { step local(n) - columns({2}) | random(2, 6) }
""")
N = 45
SEQUENCES = [name for name in MODULE.patterns if name != "over"]


def compiled(name: str, engine: str = "compose", dtype: torch.dtype = torch.float64) -> pc.Compiled:
    return pc.compile(MODULE[name], head_dim=16, dtype=dtype, engine=engine)


def table(name: str) -> PairTable:
    return table_of(Pinned(compiled(name).program))


def tensors(rows: int = N, n: int = N, *, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = [(2, 4, rows, 16), *[(2, 2, n, 16)] * 2]
    return [torch.randn(shape, generator=draw, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes]


@pytest.fixture(autouse=True)
def slow_lists() -> Iterator[None]:
    with assume(SLOW_LISTS):
        yield


def is_taken(name: str, q: torch.Tensor, k: torch.Tensor, **call: Any) -> bool:
    asked = Call(1.0, **call)
    found = [taken(compiled(name).program, q, k, asked, backward=back) is not None for back in (False, True)]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("n", [1, 7, N, 64])
@pytest.mark.parametrize("name", SEQUENCES)
def test_it_holds_the_pairs_of_the_pattern(name: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert np.array_equal(table(name).pairs(n, n), MODULE[name].mask(n).numpy())
    monkeypatch.setattr(pairs, "_AT_ONCE", 100)
    assert np.array_equal(table(name).pairs(n, n), MODULE[name].mask(n).numpy())


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_longer_plan_is_cut_only_where_it_holds_the_shorter_one(name: str) -> None:
    """By brute force: what grows by tokens that change what the first ones see must not be cut."""
    masks = [MODULE[name].mask(n).numpy() for n in range(40, 65)]
    prefix = all(np.array_equal(masks[-1][: len(mask), : len(mask)], mask) for mask in masks)
    assert prefix or not table(name).any_length
    assert table(name).any_length or name in ("blocky", "alone", "length", "nearly")


SPANS = torch.tensor([[0, N]] * 2, dtype=torch.int32)


@pytest.mark.parametrize("call", [{}, {"scale": -0.4}, {"check_finite": False}, {"spans": SPANS}])
@pytest.mark.parametrize("name", SEQUENCES)
def test_as_the_reference(name: str, call: dict[str, Any]) -> None:
    """Out, lse, and the gradients of both; 45 is no milestone, so that plans are cut."""
    assert is_taken(name, *tensors()[:2])
    mine, theirs = (results(compiled(name, engine), tensors(), **call) for engine in ("compose", "reference"))
    agree(mine, theirs, budget=1e-9)


def test_two_sequences() -> None:
    given = tensors(22)
    assert is_taken("over", *given[:2])
    mine, theirs = (results(compiled("over", engine), given) for engine in ("compose", "reference"))
    agree(mine, theirs, budget=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_other_data_types(dtype: torch.dtype) -> None:
    mine = results(compiled("blocky", dtype=dtype), tensors(dtype=dtype))
    theirs = results(compiled("blocky", "reference"), [x.detach().double() for x in tensors(dtype=dtype)])
    budget = 2e-5 if dtype == torch.float32 else 0.05
    agree([x.double() for x in mine], theirs, budget=budget)


def test_heads_of_their_own() -> None:
    groups = [((0, 3), MODULE["blocky"]), ((2,), MODULE["alone"])]
    found = []
    for engine in ("compose", "reference"):
        program = pc.compile_heads(groups, heads=4, head_dim=16, dtype=torch.float64, engine=engine)
        given = tensors()
        out, lse = program(*given, return_lse=True)
        found.append((out, lse, *torch.autograd.grad(out.sin().sum(), given)))
    for mine, theirs in zip(*found, strict=True):
        close(mine, theirs)


def test_it_is_not_asked_for_parts_of_a_sequence() -> None:
    q, k, _ = tensors()
    assert not is_taken("ragged", q[:, :, 5:], k, query_offset=5)
    assert not is_taken("ragged", q[:, :, :1], k, query_offset=N - 1)
    assert is_taken("ragged", q, k, spans=SPANS)
    assert not is_taken("ragged", q, k, spans=torch.tensor([[3, N], [0, N]], dtype=torch.int32))
    assert not is_taken("ragged", q, k, softcap=2.0)
    assert not is_taken("ragged", q[:, :, :0], k[:, :, :0])
    with pytest.raises(EngineError, match="a table of pairs runs whole sequences"):
        ComposeEngine().forward(table("ragged"), q[:, :, 5:].detach(), k.detach(), k.detach(), Call(1.0, None, 5))


def test_where_it_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long sequences have no table, and masks that are many bytes are not taken."""
    q, k, _ = tensors(71, 71)
    assert is_taken("two", q, k)
    monkeypatch.setattr(routes, "LONGEST_STRIPS", 71)
    assert is_taken("two", *tensors(70, 70)[:2])
    monkeypatch.setattr(routes, "MOST_HELD", 100)
    assert not is_taken("two", *tensors(69, 69)[:2])
    monkeypatch.setattr(routes, "MOST_HELD", 64 << 20)
    assert not is_taken("two", *tensors(72, 72)[:2])


def test_the_choice_is_of_the_predicted_times_and_is_told() -> None:
    subject = pc.compile(pc.library.load("bigbird")["bigbird"].bind(), engine="compose")
    with assume(PLAIN_SPEEDS):
        short, long = (subject.predict(n, heads=2) for n in (512, 16384))
    for choice in (short.forward, short.backward):
        assert choice.chosen.name == "dense under a mask"
        assert choice.chosen.seconds == min(way.seconds for way in choice.ways) < 1.2 * choice.dense
        assert "dense under a mask" in in_words("forward", choice)
    assert all(" and " in way.name for way in long.forward.ways)
