"""The engine that is the meaning: a dense masked softmax, its mask evaluated pair by pair from the source formula.

Nothing of the compiler is used, so whatever agrees with this engine agrees with the text. It computes in float64 for
float32 and float64 inputs and in float32 for bfloat16 and float16, and rounds once at the end. Memory is O(Nq Nk).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

from ...compiler import bruteforce
from ...patterns_dsl.syntax import Direction
from .by_heads import NOBODY, ByHeads
from .engine import Call, Meaning


@lru_cache(maxsize=32)
def _mask(meaning: Meaning, n: int, nk: int | None = None) -> Tensor:
    """bool [n, n], of a cross pattern [n, nk], on the CPU: which key (column) each query (row) attends to."""
    return torch.from_numpy(bruteforce.mask(meaning.expression, meaning.direction, n, nk))


def visible_pairs(meaning: Meaning | ByHeads[Meaning], batch: int, nq: int, nk: int, call: Call) -> Tensor:
    """bool [B, 1, Nq, Nk] on the CPU, in physical positions; [B, Hq, Nq, Nk] where heads differ."""
    if isinstance(meaning, ByHeads):
        each = [visible_pairs(one, batch, nq, nk, call) for one in meaning.programs]
        nothing = torch.zeros(batch, 1, nq, nk, dtype=torch.bool)
        return torch.cat([nothing if owner == NOBODY else each[owner] for owner in meaning.owners], dim=1)
    visible = torch.zeros(batch, 1, nq, nk, dtype=torch.bool)
    if call.documents is not None:
        for start, end in pairwise(call.documents.tolist()):
            visible[:, :, start:end, start:end] = _mask(meaning, end - start)
        return visible
    query_offset = call.query_offset
    bounds = [[0, nk]] * batch if call.spans is None else call.spans.tolist()
    for element, (start, end) in enumerate(bounds):
        if meaning.direction is Direction.CROSS:
            visible[element, 0, :, start:end] = _mask(meaning, nq, end - start)
            continue
        first, last = max(query_offset, start), min(query_offset + nq, end)
        if first < last:
            rows = _mask(meaning, end - start)[first - start : last - start]
            visible[element, 0, first - query_offset : last - query_offset, start:end] = rows
    return visible


def contract(weights: Tensor, keep: Tensor, values: Tensor) -> Tensor:
    """``weights @ values`` over the kept pairs alone.

    weights [B, H, M, N] are zero where keep [B, 1 or H, M, N] is false, but 0 * NaN is NaN: rows of values [B, H, N, D]
    that are not finite are added one by one, only where they are kept.
    """
    finite = values.isfinite().all(-1)
    result = weights @ values.masked_fill(~finite[..., None], 0.0)
    for index in (~finite).flatten(0, 1).any(0).nonzero().flatten().tolist():
        spoiled = keep[..., index, None] & ~finite[..., index, None, None]
        product = weights[..., index, None] * values[..., index, None, :]
        result = result + torch.where(spoiled, product, 0.0)
    return result


class ReferenceEngine:
    """See :class:`~patternc.runtime.engines.engine.Engine` for shapes and conventions."""

    name = "reference"

    def forward(
        self, program: Meaning | ByHeads[Meaning], q: Tensor, k: Tensor, v: Tensor, call: Call
    ) -> tuple[Tensor, Tensor]:
        keep = visible_pairs(program, q.shape[0], q.shape[2], k.shape[2], call).to(q.device)
        weights, lse, _ = _softmax(q, k, keep, call)
        out = contract(weights, keep, _widen(v, q.shape[1]))
        return out.to(q.dtype), lse.to(torch.float64 if q.dtype == torch.float64 else torch.float32)

    def backward(
        self,
        program: Meaning | ByHeads[Meaning],
        grad_out: Tensor,
        grad_lse: Tensor | None,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        out: Tensor,
        lse: Tensor,
        call: Call,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Analytic: dS = P * (dO V^T - rowsum(dO * O) + dlse), with P and O recomputed rather than read rounded."""
        keep = visible_pairs(program, q.shape[0], q.shape[2], k.shape[2], call).to(q.device)
        transposed = keep.transpose(-1, -2)
        heads = q.shape[1]
        weights, _, slope = _softmax(q, k, keep, call)
        wide_q, wide_k, wide_v, wide_grad = (_widen(x, heads) for x in (q, k, v, grad_out))
        delta = (wide_grad * contract(weights, keep, wide_v)).sum(-1)
        if grad_lse is not None:
            delta = delta - grad_lse.to(delta.dtype)
        scores = weights * (wide_grad @ wide_v.transpose(-1, -2) - delta[..., None])
        scores = torch.where(keep, scores * slope, 0.0)
        dq = contract(scores, keep, wide_k)
        dk = contract(scores.transpose(-1, -2), transposed, wide_q)
        dv = contract(weights.transpose(-1, -2), transposed, wide_grad)
        return dq.to(q.dtype), _sum_groups(dk, k), _sum_groups(dv, v)


def _widen(x: Tensor, heads: int) -> Tensor:
    """In the dtype of the computation, each key head repeated for the query heads that read it."""
    wide = torch.float64 if x.dtype in (torch.float32, torch.float64) else torch.float32
    return x.to(wide).repeat_interleave(heads // x.shape[1], dim=1)


def _softmax(q: Tensor, k: Tensor, keep: Tensor, call: Call) -> tuple[Tensor, Tensor, Tensor]:
    """(weights [B, H, Nq, Nk], lse [B, H, Nq], the derivative of a score by its q.k); a row without a key has weights
    0 and lse -inf."""
    scores = (_widen(q, q.shape[1]) @ _widen(k, q.shape[1]).transpose(-1, -2)) * call.scale
    slope = torch.as_tensor(call.scale, dtype=scores.dtype, device=scores.device)
    if call.softcap is not None:
        bent = torch.tanh(scores / call.softcap)
        scores, slope = call.softcap * bent, call.scale * (1 - bent * bent)
    scores = scores.masked_fill(~keep, -torch.inf)
    lse = torch.logsumexp(scores, dim=-1)
    weights = torch.exp(scores - lse.masked_fill(lse.isneginf(), 0.0)[..., None])
    return torch.where(keep, weights, 0.0), lse, slope


def _sum_groups(gradient: Tensor, like: Tensor) -> Tensor:
    batch, heads, n, width = like.shape
    return gradient.view(batch, heads, gradient.shape[1] // heads, n, width).sum(2).to(like.dtype)
