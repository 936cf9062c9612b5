"""FlashInfer: attention over a block-sparse matrix (``BlockSparseAttentionWrapper``), forward and decode.

Blocks are as large as the pattern allows: where it is made of whole blocks there is no mask, where only its edges are
cut a mask is given, and a pattern of single columns has blocks one key wide. ``plan`` prepares the matrix on the GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from cases import BOTH, FORWARD, Case, Mask
from torch import Tensor
from torch.nn import functional as F

from patternc.runtime.bench.inputs import Attend, Inputs

from .contestant import CannotRun, Prepared
from .installed import why_not

PLAN = "plan"
WORKSPACE = 128 << 20
"""Bytes; the size that its documentation recommends."""

MOST_ENTRIES = 1 << 30
"""Of a mask or of a list of blocks, beyond which it is not tried: each takes a byte or four, and is copied."""

_AT_ONCE = 1 << 26  # pairs that are looked at together

# Rows and keys of a block, by kind.
_SHAPES = {
    "strided": (1, 1),
    "fixed": (128, 8),
    "window": (128, 128),
    "streaming": (128, 4),
    "bigbird": (64, 64),
    "longformer": (128, 1),
    "block_longformer": (64, 64),
}


class FlashInfer:
    name = "FlashInfer"

    def available(self, device: str, dtype: torch.dtype) -> str | None:
        if device != "cuda" or dtype == torch.float32:
            return "its kernels compute float16 and bfloat16 on a GPU"
        return why_not("flashinfer")

    def computes(self, case: Case) -> Case:
        return case

    def prepare(self, case: Case, inputs: Inputs) -> Prepared:
        if case.kind not in _SHAPES:
            raise CannotRun("it is dense attention, which takes part as such")
        batch, heads, n, head_dim = inputs.q.shape
        if batch != 1:
            raise CannotRun("its block-sparse attention takes one batch element")
        wrapper_class = import_module("flashinfer").BlockSparseAttentionWrapper
        rows, keys = _SHAPES[case.kind]

        def planned(first: int, count: int, side: int) -> tuple[Attend, Callable[[], Any], int]:
            matrix = block_matrix(case.mask(n, inputs.device), first, count, n, side, keys, inputs.device)
            wrapper = wrapper_class(torch.empty(WORKSPACE, dtype=torch.uint8, device=inputs.device))

            def plan() -> None:
                wrapper.plan(
                    matrix.indptr, matrix.indices, count, n, side, keys, heads, heads, head_dim,
                    mask=matrix.mask, q_data_type=inputs.q.dtype, o_data_type=inputs.q.dtype,
                )  # fmt: skip

            plan()
            return _tokens_first(wrapper.run), plan, len(matrix.indices)

        attend, plan, blocks = planned(0, n, rows)
        step = planned(n - 1, 1, 1)[0] if case.causal else None
        missing = {BOTH: "it has no backward"}
        facts = {"block": [rows, keys], "blocks": blocks}
        return Prepared(attend, inputs, step, missing=missing, extra={PLAN: plan}, before={FORWARD: PLAN}, facts=facts)


class BlockMatrix:
    """A block-sparse matrix in compressed rows: of block row b the blocks ``indices[indptr[b] : indptr[b + 1]]``, and
    the entries [blocks, rows, keys] of those that are not full, or None where all are."""

    def __init__(self, indptr: Tensor, indices: Tensor, mask: Tensor | None) -> None:
        self.indptr, self.indices, self.mask = indptr, indices, mask


def block_matrix(formula: Mask, first: int, count: int, n: int, rows: int, keys: int, device: str) -> BlockMatrix:
    """Of queries first .. first + count - 1 and n keys, in blocks of rows x keys. Raises CannotRun where the blocks do
    not fit the lengths, or are too many."""
    if count % rows or n % keys:
        raise CannotRun(f"its blocks of {rows} x {keys} do not fit {count} x {n}")
    every, across = torch.arange(n, device=device)[None, :], n // keys
    together = rows * max(1, _AT_ONCE // (rows * n))
    lengths, indices, entries, total = [], [], [], 0
    for start in range(first, first + count, together):
        queries = torch.arange(start, min(start + together, first + count), device=device)[:, None]
        blocks = formula(queries, every).view(-1, rows, across, keys).transpose(1, 2)
        found = blocks.flatten(2).any(2)
        lengths.append(found.sum(1))
        indices.append(found.nonzero()[:, 1].int())
        entries.append(blocks[found])
        total += entries[-1].numel()
        if total > MOST_ENTRIES:
            raise CannotRun(f"its matrix would have more than {MOST_ENTRIES} entries")
    mask = torch.cat(entries)
    indptr = F.pad(torch.cat(lengths).cumsum(0), (1, 0)).int()
    return BlockMatrix(indptr, torch.cat(indices), None if bool(mask.all()) else mask)


def _tokens_first(run: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Attend:
    """From [1, H, n, D] to FlashInfer's [n, H, D] and back; the copies are its price."""
    return lambda q, k, v: run(*(x[0].transpose(0, 1).contiguous() for x in (q, k, v))).transpose(0, 1)[None]
