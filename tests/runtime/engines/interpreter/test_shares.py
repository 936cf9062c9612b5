"""Keys shared out among program instances, and the heads of a group packed into one block: the same attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from programs import CASES
from test_engine import ENGINE, agree, close, dense, tensors

from patternc.compiler.kernels import work
from patternc.compiler.lower import lower
from patternc.compiler.passes.program import Program, Tile
from patternc.compiler.pattern import loads
from patternc.runtime.engines import chains, kernel_run, sharing
from patternc.runtime.engines.engine import Call
from patternc.runtime.engines.launching import Machine


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, work.Split, int]]:
    """A device of 24 processors; and (kernel, split, lanes per rank) of each launch that shares out keys."""
    for module in (chains, kernel_run, sharing):
        monkeypatch.setattr(module, "machine", lambda device: Machine("interpreter", 1 << 30, 24))
    seen: list[tuple[int, work.Split, int]] = []

    def counted(run: Any, arguments: Any, split: work.Split) -> None:
        seen.append((run.index, split, run.pack))
        sharing.launch_shared(run, arguments, split)

    monkeypatch.setattr(chains, "launch_shared", counted)
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
    call = Call(0.25, query_offset=198)
    first, second = (ENGINE.forward(CASES["dense_causal"]().program, q, k, v, call) for _ in range(2))
    assert len(launched) == 2
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
    q, k, v = tensors(400, heads=2, kv_heads=1, rows=1)
    agree(CASES["strided"](), q, k, v, offset=399, backward=False)
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
