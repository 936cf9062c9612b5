"""Keys shared out among program instances, and the heads of a group packed into one block: the same attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from programs import CASES, Case
from test_engine import ENGINE, agree, close, dense, tensors

from patternc.compiler.kernels import work
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Program, Tile
from patternc.compiler.pattern import loads
from patternc.runtime.engines.by_heads import NOBODY, ByHeads
from patternc.runtime.engines.engine import Call
from patternc.runtime.engines.triton import chains, kernel_run, sharing
from patternc.runtime.engines.triton.launching import Machine


def processors(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    chains._KEPT.clear()
    for module in (chains, kernel_run, sharing):
        monkeypatch.setattr(module, "machine", lambda device: Machine("interpreter", 1 << 30, count))


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, work.Split]]:
    """(role, split) of each launch that shares out what a block sweeps, on a device of 96 processors."""
    processors(monkeypatch, 96)
    seen: list[tuple[str, work.Split]] = []

    def counted(run: Any, q: Any, split: work.Split) -> Any:
        seen.append((run.role, split))
        return sharing.shared(run, q, split)

    monkeypatch.setattr(chains, "shared", counted)
    return seen


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, work.Split, int]]:
    """(kernel, split, lanes per rank) of each such launch of the forward pass, on a device of 24 processors."""
    processors(monkeypatch, 24)
    seen: list[tuple[int, work.Split, int]] = []

    def counted(run: Any, q: Any, split: work.Split) -> Any:
        if run.role == "forward":
            seen.append((run.index, split, run.pack))
        return sharing.shared(run, q, split)

    monkeypatch.setattr(chains, "shared", counted)
    return seen


FAST = [
    ("dense_causal", 3, 1),
    ("fixed", 3, 1),
    ("dense_bidirectional", 2, 2),
    ("diagonals", 3, 1),
    ("global_token", 3, 1),
]
SLOW = [(name, *heads) for name in ("sliding_window", "strided", "rows") for heads in ((3, 1), (2, 2))]


@pytest.mark.parametrize(
    ("name", "heads", "kv_heads"), [*FAST, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]
)
def test_decoding(name: str, heads: int, kv_heads: int, launched: list[Any]) -> None:
    q, k, v = tensors(130, heads=heads, kv_heads=kv_heads, batch=2, rows=1)
    agree(CASES[name](), q, k, v, offset=129, backward=False)
    if name.startswith("dense"):
        assert [(split.lo, split.hi) for _, split, _ in launched] == [(0, work.ALL)]
        assert launched[0][1].shares > 1
        assert launched[0][2] == (4 if kv_heads == 1 else 1)


@pytest.mark.parametrize("name", ["dense_causal", pytest.param("fixed", marks=pytest.mark.slow)])
def test_few_rows_of_a_padded_batch(name: str, launched: list[Any]) -> None:
    q, k, v = tensors(90, heads=6, kv_heads=2, batch=3, rows=5)
    spans = torch.tensor([[0, 90], [17, 88], [30, 30]], dtype=torch.int32)
    agree(CASES[name](), q, k, v, spans=spans, offset=85, backward=False)


def test_the_same_bits_twice(launched: list[Any]) -> None:
    q, k, v = tensors(200, heads=4, kv_heads=1, rows=2)
    program, call = CASES["dense_causal"]().program, Call(0.25, query_offset=198)
    first, second = (ENGINE.forward(program, q, k, v, call) for _ in range(2))
    assert len(launched) == 1  # the second call has the launches of the first
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


def longformer() -> Program:
    text = "pattern p bidirectional { step local(4) | rows(first(3)) | columns(first(3)) }"
    bound = loads(text)["p"].bound
    return lower(bound.union, bound.direction, "p", Tile(16, 16)).program


def test_heavy_rows_alone_are_shared_out(launched: list[Any]) -> None:
    program, n = longformer(), 150
    q, k, v = tensors(n, heads=2)
    out, lse = ENGINE.forward(program, q, k, v, Call(0.25))
    assert [(split.lo, split.hi) for _, split, _ in launched] == [(0, 1)]

    class Case:
        related = staticmethod(lambda i, j: (np.abs(i - j) < 4) | (i < 3) | (j < 3))

    want, want_lse = dense(Case(), q, k, v, 0.25, None, 0)  # type: ignore[arg-type]
    close(out, want, 2e-6, "out")
    close(lse, want_lse, 2e-6, "lse")


def test_a_later_kernel_resumes_from_what_was_joined(launched: list[Any]) -> None:
    """The strided program has two kernels; both are shared out in decoding."""
    q, k, v = tensors(1100, heads=2, kv_heads=1, rows=1)
    agree(CASES["strided"](), q, k, v, offset=1099, backward=False)
    assert 1 in {index for index, *_ in launched}


def test_few_queries_of_another_sequence(launched: list[Any]) -> None:
    text = "pattern p cross { step { (i, j) : (i + j) mod 3 = 0 or j < 20 } }"
    bound = loads(text)["p"].bound
    program = lower(bound.union, bound.direction, "p", Tile(16, 16)).program
    q, k, v = tensors(300, heads=4, kv_heads=2, rows=5)
    out, lse = ENGINE.forward(program, q, k, v, Call(0.25))
    assert launched and launched[0][1].shares > 1

    class Case:
        related = staticmethod(lambda i, j: ((i + j) % 3 == 0) | (j < 20))

    want, want_lse = dense(Case(), q, k, v, 0.25, None, 0)  # type: ignore[arg-type]
    close(out, want, 2e-6, "out")
    close(lse, want_lse, 2e-6, "lse")


def both_ends(n: int = 90) -> Case:
    """A window, and the first three and the last two of n tokens as rows and columns of all."""
    text = "pattern p bidirectional { step local(4) | rows(first(3) | last(2)) | columns(first(3) | last(2)) }"
    bound = loads(text)["p"].bound
    program = lower(bound.union, bound.direction, "p", Tile(16, 16)).program
    at_an_end = lambda x: (x < 3) | (x >= n - 2)  # noqa: E731
    return Case(program, lambda i, j: (np.abs(i - j) < 4) | at_an_end(i) | at_an_end(j))


def test_gradients_of_heavy_rows_and_columns(shared: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    processors(monkeypatch, 24)
    agree(both_ends(200), *tensors(200))
    roles = {role for role, _ in shared}
    assert roles == {"forward", "backward_query", "backward_key"}
    assert (12, 1) in {(split.lo, split.hi) for _, split in shared}  # the last tile, and on from the first


def test_gradients_of_padded_batches_and_late_queries(shared: list[Any]) -> None:
    q, k, v = tensors(150, heads=2, batch=2)
    agree(CASES["global_token"](), q, k, v, spans=torch.tensor([[0, 150], [21, 150]], dtype=torch.int32))
    assert "backward_key" in {role for role, _ in shared}
    q, k, v = tensors(150, heads=2, rows=20)
    agree(CASES["global_token"](), q, k, v, offset=130)


@pytest.mark.parametrize("owners", [pytest.param((0, 0, 1, 1), marks=pytest.mark.slow), (0, 1, 1, NOBODY)])
def test_gradients_of_programs_with_heads_of_their_own(owners: tuple[int, ...], shared: list[Any]) -> None:
    """Of key heads of their own, and of one that two of them read."""
    cases = both_ends(), CASES["strided"]()
    inputs = tensors(90, heads=4, kv_heads=2)
    program, call = ByHeads(tuple(case.program for case in cases), owners), Call(0.25)
    leaves = [x.double().requires_grad_() for x in inputs]
    heads = []
    for head, owner in enumerate(owners):
        one = [x[:, at : at + 1] for x, at in zip(leaves, (head, head // 2, head // 2), strict=True)]
        heads.append(torch.zeros_like(one[0]) if owner == NOBODY else dense(cases[owner], *one, 0.25, None, 0)[0])
    grad = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(7))
    wanted = torch.autograd.grad((torch.cat(heads, 1) * grad).sum(), leaves)
    out, lse = ENGINE.forward(program, *inputs, call)
    found = ENGINE.backward(program, grad, None, *inputs, out, lse, call)
    assert {"backward_query", "backward_key"} <= {role for role, _ in shared}
    for name, got, want in zip(("dq", "dk", "dv"), found, wanted, strict=True):
        close(got, want, 1e-5, name)


@pytest.mark.slow
def test_gradients_have_the_same_bits_twice(shared: list[Any]) -> None:
    q, k, v = tensors(90, heads=2)
    program, call = both_ends().program, Call(0.25)
    out, lse = ENGINE.forward(program, q, k, v, call)
    first, second = (ENGINE.backward(program, q, None, q, k, v, out, lse, call) for _ in range(2))
    assert shared
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))
