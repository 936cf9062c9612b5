"""A call that one kernel call computes: dense attention itself, one block of all queries with a mask, or one query.

The kernel's results are the call's, without a copy, a merge or a sum. Numbers that are not finite show in them, and are
then left to ``guard``: None is returned, as where results must be copied.
"""

from __future__ import annotations

from torch import Tensor

from .....compiler.passes.program import Program
from ... import guard
from ...engine import Call
from ..plan.stage import Batch
from . import flash, rows


def forward(batch: Batch, q: Tensor, k: Tensor, v: Tensor, call: Call) -> tuple[Tensor, Tensor] | None:
    """(out, lse) of all queries."""
    tiles, key, value = batch.block.tiles, k, v
    if tiles.keys < k.shape[2]:
        key, value = (x[:, :, tiles.key : tiles.key + tiles.keys] for x in (k, v))
    found = flash.forward_alone(q, key, value, _added(batch), causal=batch.block.triangle, call=call)
    # A query or a value that is not finite shows in the result, a key does unless all its scores are -inf.
    hidden = (q, k) if tiles.keys < flash.LANES else (k,)
    if found is None or (call.check_finite and not guard.finite(*hidden, *found)):
        return None
    return found


def backward(
    batch: Batch, tensors: tuple[Tensor, Tensor, Tensor, Tensor, Tensor], lse: Tensor, call: Call
) -> tuple[Tensor, Tensor, Tensor] | None:
    """(dq, dk, dv) of (grad, q, k, v, out); None also where a key is in no block."""
    tiles = batch.block.tiles
    if (tiles.key, tiles.keys) != (0, tensors[2].shape[2]):
        return None
    found = flash.backward_alone(tensors, lse, _added(batch), causal=batch.block.triangle, call=call)
    # dS = P (dO V - D) is not finite where one of its factors is not, and dq and dk are products of it; dO is in dv.
    if found is None or (call.check_finite and not guard.finite(lse, *found)):
        return None
    return found


def row(program: Program, q: Tensor, k: Tensor, v: Tensor, call: Call) -> tuple[Tensor, Tensor] | None:
    """(out, lse) of one query of each sequence, all of one length, as of a token that a model decodes: there Python
    takes as long as the kernel. None also where the result is not finite, or keys are so few that what is not might
    not show."""
    plain = call.spans is None and call.documents is None and call.softcap is None and call.scale > 0
    if not plain or program.cross or q.shape[2] != 1 or not q.numel():
        return None
    seen = rows.seen_by(program, call.query_offset, 1, k.shape[2])
    if seen.count < (flash.LANES if call.check_finite else 1):
        return None
    query, key, value, _ = rows.batched(None, q, *seen.take(k, v))
    out, lse = flash.forward_plain(query, key, value, call.scale)
    if call.check_finite and not guard.finite(out):  # nor is it where lse is not
        return None
    return out.reshape(q.shape), lse.reshape(q.shape[:-1])


def _added(batch: Batch) -> Tensor | None:
    return None if batch.bias is None else batch.bias.added
