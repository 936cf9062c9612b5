"""Calls in pieces, by several threads: each head once, the same bits every time, and the numbers of the reference."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from crews import counted
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import patternc as pc
from patternc.runtime.engines.by_heads import ByHeads
from patternc.runtime.engines.compose.engine import ComposeEngine
from patternc.runtime.engines.compose.plan.route import Route
from patternc.runtime.engines.compose.pricing.machine import assume
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.pricing.rates import Machine
from patternc.runtime.engines.compose.routes import find_route, forget
from patternc.runtime.engines.compose.running import crew, pieces
from patternc.runtime.engines.engine import Call
from patternc.runtime.engines.reference import ReferenceEngine
from patternc.testing.agreement import error
from patternc.testing.machines import PLAIN, SLOW_TO_MULTIPLY

N, THREADS = 96, 2
MACHINE = Machine(
    "one on which Python takes no time",  # and scores much: of several blocks, and not of all pairs in one
    *(
        rates._replace(batches=0.0, launches=0.0, steps=0.0)
        for rates in (SLOW_TO_MULTIPLY.forward, SLOW_TO_MULTIPLY.backward)
    ),
    0.0,
)
TEXT = """
pattern strided causal { step local(16) | strided(16) }
pattern fixed causal { step block(16) | fixed(16, 4) }
pattern window bidirectional { step local(7) | columns(first(2)) }
pattern diagonal causal { step self | { (i, j) : i - j = 8 or i - j = 32 } }
pattern table bidirectional { step { (i, j) : (i * 3 + j) mod 5 < 2 } }
pattern other cross { step { (i, j) : (i - j) mod 4 = 0 } }
"""
ENGINE, REFERENCE = ComposeEngine(), ReferenceEngine()
DOCUMENTS = torch.tensor([0, 40, 41, 68, 96], dtype=torch.int32)
SPANS = torch.tensor([[0, N], [5, N], [0, 61], [0, 61]], dtype=torch.int32)
CALLS = {  # batch elements, key heads of four
    "whole": (4, 2, Call(0.3)),
    "one": (1, 4, Call(-0.3, check_finite=False)),
    "padded": (4, 2, Call(0.3, spans=SPANS)),
    "packed": (1, 2, Call(0.3, documents=DOCUMENTS)),
    "late": (2, 2, Call(0.3, query_offset=30)),
    "capped": (2, 4, Call(0.3, softcap=2.0)),
}

if crew._library() is None:
    pytest.skip("torch has no OpenMP and MKL here", allow_module_level=True)


@given(
    batch=st.integers(1, 9),
    heads=st.integers(1, 9),
    group=st.integers(1, 3),
    threads=st.integers(2, 5),
    most=st.integers(1, 200),
)
def test_pieces_hold_each_head_once(batch: int, heads: int, group: int, threads: int, most: int) -> None:
    query = torch.arange(batch * heads * group).view(batch, heads * group, 1, 1).expand(-1, -1, 2, 3)
    key = torch.arange(batch * heads).view(batch, heads, 1, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "MOST_ELEMENTS", most)
        found = list(pieces.pieces((query,), (key,), threads))
    rows = [int(x) for (q,), _ in found for x in q[..., 0, 0].flatten()]
    assert Counter(rows) == Counter(range(batch * heads * group))
    for (q,), (k,) in found:
        # Query head h of a call reads key head h // group, and that of a piece does so too.
        for element, rows_of in zip(k[..., 0, 0], q[..., 0, 0], strict=True):
            assert [int(x) // group for x in rows_of] == [int(x) for x in element for _ in range(group)]
        assert k.numel() == 1 or k.numel() <= -(-batch * heads // threads)


@given(batch=st.integers(1, 9), heads=st.integers(1, 9), threads=st.integers(2, 5))
def test_threads_have_equally_many_heads_where_they_can(batch: int, heads: int, threads: int) -> None:
    key = torch.empty(batch, heads, 1, 1)
    loads = [k.numel() for _, (k,) in pieces.pieces((key,), (key,), threads)]
    if batch * math.gcd(heads, threads) % threads == 0:
        assert pieces.busiest(loads, threads) == batch * heads / threads


def test_the_busiest_thread() -> None:
    assert pieces.busiest([], 2) == 0
    assert pieces.busiest([1, 3, 2], 2) == 3
    assert pieces.busiest([1, 1, 1], 2) == 2


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Everything that can be is shared out, to so many tasks."""
    sizes = counted(monkeypatch)
    monkeypatch.setattr(pieces, "WORTH_SHARING", 1e-12)
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    forget()
    with assume(MACHINE):
        yield sizes
    forget()
    torch.set_num_threads(before)


def compiled(engine: str) -> dict[str, pc.Compiled]:
    return {name: pc.compile(one.bind(), head_dim=8, engine=engine) for name, one in pc.loads(TEXT).patterns.items()}


def inputs(call: Call, batch: int, heads: int, key_heads: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    rows = N - call.query_offset
    q = torch.randn(batch, rows, heads, 8, generator=generator).transpose(1, 2)
    return [q, *torch.randn(2, batch, key_heads, N, 8, generator=generator)]


def everything(engine: Any, program: Any, tensors: list[Tensor], call: Call, *, slope: bool) -> list[Tensor]:
    """out, lse, dq, dk, dv."""
    out, lse = engine.forward(program, *tensors, call)
    grad = torch.linspace(-1, 1, out.numel()).view_as(out)
    grad_lse = torch.linspace(-1, 2, lse.numel()).view_as(lse) if slope else None
    return [out, lse, *engine.backward(program, grad, grad_lse, *tensors, out, lse, call)]


def alone(program: Any, tensors: list[Tensor], call: Call, *, slope: bool) -> list[Tensor]:
    """As without a crew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "WORTH_SHARING", math.inf)
        return everything(ENGINE, program, tensors, call, slope=slope)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["strided", "fixed", "window", "diagonal", "table", "other"])
def test_a_crew_computes_what_one_thread_does(name: str, call: str, shared: list[int]) -> None:
    batch, key_heads, how = CALLS[call]
    if name == "other" and call in ("packed", "late"):
        pytest.skip("a cross pattern takes neither")
    program, meaning = compiled("compose")[name].program, compiled("reference")[name].meaning
    tensors, slope = inputs(how, batch, 4, key_heads), call == "whole"
    found = everything(ENGINE, program, tensors, how, slope=slope)
    assert bool(shared) == (call != "late")
    again = everything(ENGINE, program, tensors, how, slope=slope)
    for mine, same, theirs in zip(found, again, alone(program, tensors, how, slope=slope), strict=True):
        assert torch.equal(mine, same)
        # Where rows lie otherwise in memory, torch computes some by vectors and some one by one.
        torch.testing.assert_close(mine, theirs, rtol=2e-6, atol=2e-6)
    for mine, exact in zip(found, everything(REFERENCE, meaning, tensors, how, slope=slope), strict=True):
        assert error(mine, exact) < 2e-5


@pytest.mark.parametrize("key_heads", [2, 6])
def test_heads_with_programs_of_their_own(key_heads: int, shared: list[int]) -> None:
    """One task for each program at least; gradients too, unless programs add to the same key head."""
    heads = {engine: compiled(engine) for engine in ("compose", "reference")}
    names, owners = ("strided", "fixed", "diagonal"), (0, 1, 2, 0, 1, 2)
    lowered = ByHeads(tuple(heads["compose"][name].program for name in names), owners)
    meanings = ByHeads(tuple(heads["reference"][name].meaning for name in names), owners)
    tensors = inputs(Call(0.3), 2, 6, key_heads)
    found = everything(ENGINE, lowered, tensors, Call(0.3), slope=True)
    assert len(shared) == (1 if lowered.mixed(6 // key_heads) else 2) and min(shared) >= 3
    for mine, exact in zip(found, everything(REFERENCE, meanings, tensors, Call(0.3), slope=True), strict=True):
        assert error(mine, exact) < 2e-5


def test_numbers_that_are_not_finite_stay_where_they_are(shared: list[int]) -> None:
    programs, tensors = (compiled(engine)["strided"] for engine in ("compose", "reference")), inputs(Call(0.3), 2, 4, 4)
    tensors[0][0, 1, 20, 0], tensors[1][1, 3, 50, 2] = math.nan, math.nan
    mine, exact = (program(*tensors) for program in programs)
    assert shared and torch.equal(mine.isnan(), exact.isnan()) and 0 < int(mine.isnan().sum()) < 400
    torch.testing.assert_close(mine, exact, equal_nan=True, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("heads", "python", "apart", "expected"),
    [(4, 0.3, True, True), (4, 0.3, False, False), (4, 0.4, True, False), (3, 0.0, True, False), (9, 0.0, True, True)],
)
def test_what_is_shared_out(heads: int, python: float, apart: bool, expected: bool, shared: list[int]) -> None:
    """Not what adds to one place, nor where half of the threads would wait for the other, or all for Python."""
    done: list[tuple[Tensor, Tensor]] = []
    query, key = torch.arange(2.0 * heads).view(1, 2 * heads, 1, 1), torch.arange(1.0 * heads).view(1, heads, 1, 1)
    route = Route("a way", (), covers=True, alone=False, seconds=1.0, python=python, held=0)
    job = pieces.Job(route, (query,), (key,), lambda q, k: done.append((*q, *k)))
    pieces.run_jobs([job], apart=apart)
    assert shared == ([2] if expected else []) and len(done) == (2 if expected else 1)
    for place, x in enumerate((query, key)):
        assert sorted(torch.cat([part[place].flatten() for part in done]).tolist()) == x.flatten().tolist()


@pytest.mark.parametrize("name", ["strided", "diagonal"])
def test_python_is_that_of_one_head(name: str) -> None:
    """Each piece takes it again, whatever heads it has; diagonals of a long sequence run head by head anyhow."""
    program = compiled("compose")[name].program
    some, one = (
        find_route(program, 8192, 8192, Price(PLAIN, Heads(1, heads, 1, 64), THREADS), torch.float32)
        for heads in (8, 1)
    )
    assert some.python == pytest.approx(one.python) and 0 < some.python < some.seconds / 4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype, shared: list[int]) -> None:
    pattern = pc.loads(TEXT)["fixed"].bind()
    mine, exact = (pc.compile(pattern, head_dim=8, engine=name, dtype=dtype) for name in ("compose", "reference"))
    tensors = [x.to(dtype) for x in inputs(Call(0.3), 2, 4, 2)]
    assert error(mine(*tensors), exact(*tensors)) < (2e-2 if dtype == torch.bfloat16 else 1e-12)
    assert shared


def test_tensors_of_inference_mode_and_captured_graphs(shared: list[int]) -> None:
    program = compiled("compose")["strided"]
    expected = program(*inputs(Call(0.3), 1, 4, 4))
    with torch.inference_mode():
        found = program(*inputs(Call(0.3), 1, 4, 4))
        assert found.is_inference() and torch.equal(found, expected)
    leaves = [x.requires_grad_() for x in inputs(Call(0.3), 1, 4, 4)]
    graph = torch.compile(lambda q, k, v: program(q, k, v) * 2, backend="aot_eager", fullgraph=True)
    captured = graph(*leaves)
    torch.testing.assert_close(captured, 2 * expected)
    captured.sum().backward()
    assert len(shared) == 4 and all(x.grad is not None and bool(x.grad.isfinite().all()) for x in leaves)


def test_short_calls_and_uneven_ones_are_left_to_torch(shared: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    program = compiled("compose")["strided"]
    program(*inputs(Call(0.3), 1, 3, 3))  # two heads for one thread, one for the other
    program(*inputs(Call(0.3), 1, 1, 1))
    assert not shared
    program(*inputs(Call(0.3), 3, 3, 3))
    assert len(shared) == 1
    monkeypatch.setattr(pieces, "WORTH_SHARING", 1e9)
    program(*inputs(Call(0.3), 3, 3, 3))
    assert len(shared) == 1
