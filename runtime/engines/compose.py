"""The compose engine: each term as strided or gathered views through torch's flash attention, merged by LSE.

It needs no compiler and no GPU, and trains on a CPU. For a disjoint union of terms with outputs O_t and
log-normalisers L_t, the softmax over the union is

    L = log sum_t exp L_t        O = sum_t exp(L_t - L) O_t

and its gradient is each term's own flash backward, called with the final (O, L): the sum over terms is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from ...compiler.passes.pinned import Pinned
from ...compiler.passes.program import NATURAL, Program
from ..errors import EngineError
from . import flash
from .blocks import Block, blocks
from .engine import Call
from .rows import rows_backward, rows_forward
from .sequences import sequences
from .views import BlockViews, Side


@dataclass(frozen=True)
class _Stage:
    """One term at one length. ``fresh[k]``: no earlier block touched the rows of block k."""

    query: Side
    key: Side
    blocks: tuple[Block, ...]
    fresh: tuple[bool, ...]

    def batches(self) -> Iterator[tuple[Block, bool]]:
        """The blocks, without growth, and whether they are the first to touch their rows."""
        for block, fresh in zip(self.blocks, self.fresh, strict=True):
            for even in block.even():
                yield even, fresh


@lru_cache(maxsize=128)
def _stages(pinned: Pinned, n: int) -> tuple[_Stage, ...]:
    return plan(pinned.program, n)


def plan(program: Program, n: int) -> tuple[_Stage, ...]:
    """What forward and backward run for a whole sequence of length n, term by term; computed anew."""
    stages: list[_Stage] = []
    for kernel in program.forward:
        for sweep in kernel.sweeps:
            term = program.terms[sweep.term]
            parts = blocks(program, sweep, n)
            first = not stages and term.query == NATURAL
            fresh = tuple(first and not any(_meet(part, other) for other in parts[:k]) for k, part in enumerate(parts))
            stages.append(_Stage(Side(term.query, n), Side(term.key, n), parts, fresh))
    return tuple(stages)


def _meet(one: Block, two: Block) -> bool:
    """Whether two batches of blocks in natural order may share a row."""
    (first, last), (other_first, other_last) = one.tiles.box()["a"], two.tiles.box()["a"]
    return first <= other_last and other_first <= last


class ComposeEngine:
    """See ``patternc.runtime.engines.engine.Engine`` for the contract. Runs on CPU tensors."""

    name = "compose"

    def forward(self, program: Program, q: Tensor, k: Tensor, v: Tensor, call: Call) -> tuple[Tensor, Tensor]:
        """(out, lse)."""
        _require_cpu(q)
        q, call, _ = _positive_scale(q, call)
        wide = torch.promote_types(q.dtype, torch.float32)
        out = torch.zeros(q.shape, dtype=wide)
        lse = torch.full(q.shape[:-1], -math.inf, dtype=wide)
        for part in sequences(q, k, call):
            inside = (part.queries(q), part.keys(k), part.keys(v), part.queries(out), part.queries(lse))
            if part.whole:
                _forward(program, *inside, call)
            else:
                rows_forward(program, part, *inside, call)
        return out.to(q.dtype), lse

    def backward(
        self,
        program: Program,
        grad_out: Tensor,
        grad_lse: Tensor | None,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        out: Tensor,
        lse: Tensor,
        call: Call,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(dq, dk, dv)."""
        _require_cpu(q)
        dtype, wide = q.dtype, torch.promote_types(q.dtype, torch.float32)
        # In a low precision torch's kernel rounds dk and dv after every block of queries: a sum of 148 rows was a third
        # off.
        q, k, v, out, grad_out = (x.to(wide) for x in (q, k, v, out, grad_out))
        q, call, factor = _positive_scale(q, call)
        # A row without keys has lse -inf; its probabilities exp(s - lse) must come out as 0, not as inf.
        lse = lse.masked_fill(lse == -math.inf, 0.0)
        grad, v_in, out_in, q_in, k_in = grad_out, v, out, q, k
        if grad_lse is not None:
            grad, q_in, k_in, v_in, out_in = _carry_lse_gradient(grad, grad_lse, q, k, v, out)
        dq, dk, dv = (torch.zeros(x.shape, dtype=wide) for x in (q_in, k_in, v_in))
        for part in sequences(q, k, call):
            queries = tuple(part.queries(x) for x in (grad, q_in, out_in, lse, dq))
            keys = tuple(part.keys(x) for x in (k_in, v_in, dk, dv))
            if part.whole:
                _backward(program, queries, keys, call)
            else:
                rows_backward(program, part, queries, keys, call)
        if factor != 1:
            dq.mul_(factor)
        width = q.shape[-1]
        return tuple(grad[..., :width].to(dtype) for grad in (dq, dk, dv))  # type: ignore[return-value]


def _require_cpu(q: Tensor) -> None:
    if q.device.type != "cpu":
        raise EngineError(f"engine 'compose' runs on cpu tensors, not on {q.device}; use engine='triton' there")


def _positive_scale(q: Tensor, call: Call) -> tuple[Tensor, Call, int]:
    """(q, call, factor of dq): torch's causal kernel multiplies the -inf of a later key by the scale, which must be
    positive then: q.k * s = (-q).k * -s, and q.k * 0 = (0 * q).k * 1."""
    if call.scale > 0:
        return q, call, 1
    if call.scale < 0:
        return q.neg(), replace(call, scale=-call.scale), -1
    return torch.zeros_like(q), replace(call, scale=1.0), 0


def _carry_lse_gradient(
    grad: Tensor, grad_lse: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """One more feature makes flash return the gradient of lse too: dS = P * (dO v^T - D) gains + dlse when v gets a
    column of ones and dO the column dlse, while the column of zeros in O leaves D as it was."""
    last = (*[1] * (q.dim() - 1), 1)

    def widen(x: Tensor, column: Tensor) -> Tensor:
        return torch.cat([x, column.to(x.dtype)], dim=-1)

    zeros_q, zeros_k = (torch.zeros(1).view(last).expand(*x.shape[:-1], 1) for x in (q, k))
    return (
        widen(grad, grad_lse.unsqueeze(-1)),
        widen(q, zeros_q),
        widen(k, zeros_k),
        widen(v, torch.ones_like(zeros_k)),
        widen(out, zeros_q),
    )


def _forward(program: Program, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, call: Call) -> None:
    """Fill out and lse, which hold 0 and -inf, for a sequence whose queries are all there."""
    groups = q.shape[1] // k.shape[1]
    q, k, v = (_rows_contiguous(x) for x in (q, k, v))
    column = lse.unsqueeze(-1)
    for stage in _stages(Pinned(program), k.shape[2]):
        qs, ks, vs = stage.query.take(q), stage.key.take(k), stage.key.take(v)
        total, total_lse = stage.query.take(out), stage.query.take(column)
        for block, fresh in stage.batches():
            views = BlockViews(stage.query, stage.key, block, groups)
            query = views.queries(qs)
            mask, dead = views.bias(query)
            part, part_lse = flash.forward(
                query, views.keys(ks), views.keys(vs), mask, causal=block.triangle, call=call
            )
            if dead is not None:
                part_lse.masked_fill_(dead, -math.inf)
            _merge(views.queries(total), views.queries(total_lse).squeeze(-1), part, part_lse, fresh)
        stage.query.put_back(out, total)
        stage.query.put_back(column, total_lse)


def _merge(out: Tensor, lse: Tensor, part: Tensor, part_lse: Tensor, fresh: bool) -> None:
    """Add a disjoint part to the softmax in (out, lse), in place."""
    if fresh:
        out.copy_(part)
        lse.copy_(part_lse)
        return
    total = torch.logaddexp(lse, part_lse)
    kept, added = (torch.exp(x - total).nan_to_num_(0.0).unsqueeze(-1) for x in (lse, part_lse))
    out.mul_(kept).addcmul_(part, added)
    lse.copy_(total)


def _backward(program: Program, queries: tuple[Tensor, ...], keys: tuple[Tensor, ...], call: Call) -> None:
    """Add to dq, dk and dv, the last of each side."""
    grad, q, out, lse, dq = queries
    k, v, dk, dv = keys
    groups = q.shape[1] // k.shape[1]
    grad, q, out, k, v = (_rows_contiguous(x) for x in (grad, q, out, k, v))
    column = lse.unsqueeze(-1)
    for stage in _stages(Pinned(program), k.shape[2]):
        grads, qs, outs, lses = (stage.query.take(x) for x in (grad, q, out, column))
        ks, vs = stage.key.take(k), stage.key.take(v)
        dqs, dks, dvs = stage.query.take(dq), stage.key.take(dk), stage.key.take(dv)
        for block, _ in stage.batches():
            views = BlockViews(stage.query, stage.key, block, groups)
            query = views.queries(qs)
            mask, _ = views.bias(query)
            parts = flash.backward(
                views.queries(grads),
                query,
                views.keys(ks),
                views.keys(vs),
                views.queries(outs),
                views.queries(lses).squeeze(-1),
                mask,
                causal=block.triangle,
                call=call,
            )
            views.queries(dqs).add_(parts[0])
            views.add_to_keys(dks, parts[1])
            views.add_to_keys(dvs, parts[2])
        stage.query.put_back(dq, dqs)
        stage.key.put_back(dk, dks)
        stage.key.put_back(dv, dvs)


def _rows_contiguous(x: Tensor) -> Tensor:
    """Flash reads whole rows: the features of a token must be adjacent."""
    return x if x.stride(-1) == 1 else x.contiguous()
