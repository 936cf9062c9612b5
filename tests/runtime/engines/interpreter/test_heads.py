"""Programs that own some of the heads, in one launch where they fit: each head has the attention of its own program."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from programs import CASES
from test_engine import ENGINE, close, dense, tensors
from torch import Tensor

import patternc as pc
from patternc.compiler.kernels import launch
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Tile
from patternc.runtime.engines.by_heads import NOBODY, ByHeads
from patternc.runtime.engines.engine import Call, Meaning
from patternc.runtime.engines.reference import ReferenceEngine
from patternc.runtime.engines.triton import chains, kernel_run

NAMES = ("sliding_window", "strided", "fixed")
PROGRAMS = tuple(CASES[name]().program for name in NAMES)
ALIKE = (0, 0, 1, 1, 2, 2)
MIXED = (0, 2, 1, NOBODY, 2, 0)


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """(role, programs in it) of each launch."""
    seen: list[tuple[str, int]] = []
    right = kernel_run.KernelRun.launch
    chains._KEPT.clear()

    def counted(run: Any, *arguments: Any, **named: Any) -> Any:
        seen.append((run.role, len(run.members)))
        return right(run, *arguments, **named)

    monkeypatch.setattr(kernel_run.KernelRun, "launch", counted)
    return seen


def wanted(owners: tuple[int, ...], inputs: list[Tensor], spans: Tensor | None, offset: int) -> tuple[Tensor, Tensor]:
    q, k, v = inputs
    group, parts = q.shape[1] // k.shape[1], []
    for head, owner in enumerate(owners):
        if owner == NOBODY:
            parts.append((torch.zeros_like(q[:, :1]), torch.full_like(q[:, :1, :, 0], -torch.inf)))
        else:
            one = (q[:, head : head + 1], *(x[:, head // group : head // group + 1] for x in (k, v)))
            parts.append(dense(CASES[NAMES[owner]](), *one, 0.25, spans, offset))
    out, lse = zip(*parts, strict=True)
    return torch.cat(out, 1), torch.cat(lse, 1)


def agree(owners: tuple[int, ...], inputs: list[Tensor], *, spans: Tensor | None = None, offset: int = 0) -> None:
    program, call = ByHeads(PROGRAMS, owners), Call(0.25, spans=spans, query_offset=offset)
    leaves = [x.double().requires_grad_() for x in inputs]
    want, want_lse = wanted(owners, leaves, spans, offset)
    out, lse = ENGINE.forward(program, *inputs, call)
    close(out, want, 2e-6, "out")
    close(lse, want_lse, 2e-6, "lse")
    weight = torch.linspace(-1, 1, want.numel()).view_as(want)
    grads = ENGINE.backward(program, weight, None, *inputs, out, lse, call)
    expected = torch.autograd.grad((want * weight).sum(), leaves)
    for name, got, right in zip(("dq", "dk", "dv"), grads, expected, strict=True):
        close(got, right.nan_to_num(), 8e-6, name)


@pytest.mark.parametrize("key_heads", [3, pytest.param(6, marks=pytest.mark.slow)])
def test_one_launch_for_all_programs(key_heads: int, launches: list[tuple[str, int]]) -> None:
    agree(ALIKE, tensors(37, heads=6, kv_heads=key_heads))
    # strided has two kernels, and fixed two of keys: of all programs, the first of a chain are one launch.
    assert launches == [
        ("forward", 3), ("forward", 1), ("backward_query", 3), ("backward_query", 1),
        ("backward_key", 3), ("backward_key", 2),
    ]  # fmt: skip


def test_programs_in_tiles_of_their_own_are_launched_apart(launches: list[tuple[str, int]]) -> None:
    """The blocks of a launch divide one tile."""
    bound = pc.loads("pattern p causal { step local(20) }")["p"].bound
    programs = tuple(lower(bound.union, bound.direction, "p", Tile(side, side)).program for side in (16, 32, 16))
    inputs = tensors(53, heads=6, kv_heads=3)
    call, meaning = Call(0.25), Meaning(bound.union, bound.direction)
    program = ByHeads(programs, ALIKE)
    out, lse = ENGINE.forward(program, *inputs, call)
    double = [x.double() for x in inputs]
    want, want_lse = ReferenceEngine().forward(meaning, *double, call)
    close(out, want, 2e-6, "out")
    weight = torch.linspace(-1, 1, want.numel()).view_as(want)
    grads = ENGINE.backward(program, weight, None, *inputs, out, lse, call)
    exact = ReferenceEngine().backward(meaning, weight.double(), None, *double, want, want_lse, call)
    for name, got, right in zip(("dq", "dk", "dv"), grads, exact, strict=True):
        close(got, right, 8e-6, name)
    assert launches == [(role, count) for role in ("forward", "backward_query", "backward_key") for count in (2, 1)]


@pytest.mark.parametrize("key_heads", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_programs_that_share_a_key_head(key_heads: int) -> None:
    agree(MIXED, tensors(37, heads=6, kv_heads=key_heads))


@pytest.mark.slow
def test_a_padded_batch() -> None:
    spans = torch.tensor([[0, 40], [9, 33]], dtype=torch.int32)
    agree(MIXED, tensors(40, heads=6, kv_heads=2, batch=2), spans=spans)
    agree(ALIKE, tensors(40, heads=6, kv_heads=3, batch=2), spans=spans)


@pytest.mark.parametrize(("owners", "key_heads"), [(ALIKE, 3), (MIXED, 2)])
def test_decoding(owners: tuple[int, ...], key_heads: int) -> None:
    agree(owners, tensors(130, heads=6, kv_heads=key_heads, rows=1), offset=129)


@pytest.mark.slow
def test_separate_launches_where_branches_do_not_fit(
    monkeypatch: pytest.MonkeyPatch, launches: list[tuple[str, int]]
) -> None:
    monkeypatch.setattr(launch, "together", lambda count, *others: 1)
    agree(ALIKE, tensors(37, heads=6, kv_heads=3))
    assert {programs for _, programs in launches} == {1}


@pytest.mark.slow
def test_the_same_bits_twice() -> None:
    inputs = tensors(37, heads=6, kv_heads=2)
    program, call = ByHeads(PROGRAMS, MIXED), Call(0.25)
    runs = []
    for _ in range(2):
        out, lse = ENGINE.forward(program, *inputs, call)
        runs.append([out, lse, *ENGINE.backward(program, torch.ones_like(out), None, *inputs, out, lse, call)])
    assert all(torch.equal(one, two) for one, two in zip(*runs, strict=True))
