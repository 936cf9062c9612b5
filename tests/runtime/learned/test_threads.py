"""Seeded tables with some heads on each thread: what the reference engine gives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from crews import counted

import patternc as pc
from patternc.runtime.engines.compose.running import crew
from patternc.runtime.learned.pricing.speeds import assume
from patternc.runtime.learned.seeded import threads
from patternc.testing.agreement import agree, results
from patternc.testing.machines import QUICK_DENSE, QUICK_LISTS

MODULE = pc.loads("""
pattern blocky bidirectional { step blocks(local(2) | global(first(1) | last(1)), 8) | random(2, 8) }
pattern ragged causal { step local(5) | random(2, 7, seed = 3) - columns({3, 11..20}) }
pattern alone bidirectional { step random(2, 5) }
pattern two causal { step local(2) | random(3, 6) | random(2, 4, seed = 1) & { (i, j) : (i - j) mod 2 = 0 } }
""")
N = 45
CALLS = {
    "whole": (N, {}),
    "padded": (N, {"spans": torch.tensor([[6, N], [0, 31]], dtype=torch.int32)}),
    "late rows": (11, {"query_offset": 17}),
    "capped": (N, {"softcap": 1.5, "scale": -0.4}),
}

if crew._library() is None:
    pytest.skip("torch's threads cannot be counted one by one here", allow_module_level=True)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many tasks each call of the crew had: of lists, however short they are."""
    counts = counted(monkeypatch)
    monkeypatch.setattr(threads, "WORTH_SHARING", 0.0)
    monkeypatch.setattr(threads, "MOST_PYTHON", 1e9)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield counts
    torch.set_num_threads(before)


def tensors(rows: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, 8, rows, 16), *[(2, 4, N, 16)] * 2]
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("speeds", [QUICK_LISTS, QUICK_DENSE], ids=["lists", "a mask"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", MODULE)
def test_as_the_reference(name: str, call: str, speeds, shared: list[int]) -> None:
    rows, arguments = CALLS[call]
    mine, theirs = (
        pc.compile(MODULE[name], head_dim=16, dtype=torch.float64, engine=engine) for engine in ("compose", "reference")
    )
    with assume(speeds):
        found = results(mine, tensors(rows), **arguments)
    agree(found, results(theirs, tensors(rows), **arguments), budget=1e-9)
    if call == "late rows":  # no other part shares heads out
        assert shared == ([2, 2] if speeds is QUICK_LISTS else [])


def test_a_thread_has_as_many_heads_at_a_time_as_a_cache_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MOST_ELEMENTS", 100)
    assert [threads._size(heads, 30) for heads in (1, 2, 3, 4, 6, 8)] == [1, 2, 3, 2, 3, 2]
    assert threads._size(6, 1000) == 1
