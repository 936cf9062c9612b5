"""Packed documents: each is attended to as if it were alone. The oracle calls the program once for each document."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

import patternc as pc
from patternc.runtime.engines.compose.running.sequences import sequences
from patternc.runtime.engines.engine import Call

INT = torch.int32

EDGES = {
    "of many lengths": [0, 5, 6, 20, 37],
    "equal, so that they are batches": [0, 7, 14, 21, 22, 30, 38],
    "some of them empty": [0, 0, 9, 9, 9, 30, 30],
    "one": [0, 31],
    "none": [0],
}


def tensors(n: int, layout: str = "heads first") -> tuple[Tensor, Tensor, Tensor]:
    if layout == "heads first":
        q, k, v = torch.randn(1, 4, n, 8), torch.randn(1, 2, n, 8), torch.randn(1, 2, n, 8)
    else:
        q, (k, v) = torch.randn(1, n, 4, 8).transpose(1, 2), torch.randn(2, 1, n, 2, 8).transpose(2, 3)
    return tuple(x.requires_grad_() for x in (q, k, v))  # type: ignore[return-value]


def alone(program, edges: list[int], q: Tensor, k: Tensor, v: Tensor, **options) -> tuple[Tensor, Tensor]:
    """Every document in a call of its own."""
    parts = [
        program(*(x[:, :, start:end] for x in (q, k, v)), return_lse=True, **options) for start, end in pairwise(edges)
    ]
    outs, lses = zip(*parts, strict=True) if parts else ([q], [q[..., 0]])
    return torch.cat(outs, dim=2), torch.cat(lses, dim=2)


def losses(out: Tensor, lse: Tensor) -> Tensor:
    weight = torch.linspace(-1, 1, out.numel()).view_as(out)
    return (out * weight).sum() + (lse * weight[..., 0])[lse.isfinite()].sum()


@pytest.mark.parametrize("softcap", [None, 1.5])
@pytest.mark.parametrize("layout", ["heads first", "tokens first"])
@pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES)
@pytest.mark.parametrize("name", ["window", "factorized", "both", "tail", "gaps"])
@pytest.mark.parametrize("engine", ["reference", "compose"])
def test_documents_attend_to_themselves_alone(patterns, engine, name, edges, layout, softcap):
    exact = pc.compile(patterns(name), head_dim=8, engine="reference")
    program = pc.compile(patterns(name), head_dim=8, engine=engine)
    inputs = tensors(edges[-1], layout)
    wanted = alone(exact, edges, *inputs, softcap=softcap)
    documents = torch.tensor(edges, dtype=INT)
    found = program(*inputs, documents=documents, softcap=softcap, return_lse=True)
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=2e-5)
    gradients = (torch.autograd.grad(losses(*results), inputs, materialize_grads=True) for results in (found, wanted))
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=5e-5)


def test_equal_neighbours_are_one_batch_and_nothing_is_copied():
    q = torch.randn(1, 2, 20, 4)
    found = list(sequences(q, q, Call(1.0, documents=torch.tensor([0, 6, 12, 12, 18, 20], dtype=INT))))
    assert [(part.start, part.length, part.copies) for part in found] == [(0, 6, 2), (12, 6, 1), (18, 2, 1)]
    view = found[0].keys(q)
    assert view.shape == (2, 2, 6, 4) and view.data_ptr() == q.data_ptr()
    assert torch.equal(view[1], q[0, :, 6:12])


def test_in_a_compiled_graph(patterns):
    torch.compiler.reset()
    program = pc.compile(patterns("factorized"), head_dim=8, engine="compose")
    inputs, documents = tensors(20), torch.tensor([0, 6, 12, 20], dtype=INT)

    def loss(q, k, v, documents):
        return losses(*program(q, k, v, documents=documents, max_seqlen=8, return_lse=True))

    eager = torch.autograd.grad(loss(*inputs, documents), inputs)
    compiled = torch.autograd.grad(torch.compile(loss, fullgraph=True, backend="aot_eager")(*inputs, documents), inputs)
    for mine, theirs in zip(compiled, eager, strict=True):
        torch.testing.assert_close(mine, theirs)
