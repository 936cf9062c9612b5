"""Some queries of a sequence against all of its keys: decoding, and prefill in chunks.

The rows of the pattern are evaluated as a mask from the program's terms; keys that no query of the chunk attends to
are left out before anything is computed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..compiler.integer import evaluate
from ..compiler.program import Order, Program
from . import flash
from .sequences import Sequence


def mask_rows(program: Program, positions: Tensor, n: int) -> Tensor:
    """bool [rows, n]: which keys the queries at these positions attend to in a sequence of length n."""
    keys = torch.arange(n)
    mask = torch.zeros(len(positions), n, dtype=torch.bool)
    for term in program.terms:
        query_class, query_rank, query_there = _locate(term.query, positions[:, None])
        key_class, key_rank, key_there = _locate(term.key, keys[None, :])
        keep = evaluate(term.keep, {"a": query_rank, "b": key_rank, "c": query_class, "n": n}, torch)
        same = (query_class + term.shift) % term.key.classes == key_class if term.key.classes > 1 else True
        mask |= query_there & key_there & same & keep
    return mask


def _locate(order: Order, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(class, rank, whether the token has one)."""
    shifted = tokens - order.start
    period, within = shifted // order.period, shifted % order.period
    if order.classes > 1:
        return within, period, shifted >= 0
    return torch.zeros_like(within), period * order.count + within, (shifted >= 0) & (within < order.count)


def rows_forward(
    program: Program, part: Sequence, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, scale: float
) -> None:
    """Fill out and lse of the sequence's queries."""
    mask, used = _visible(program, part)
    query, key, value, bias = _batch(mask, used, q, k, v)
    result, result_lse = flash.forward(query, key, value, bias, causal=False, scale=scale)
    dead = ~mask.any(dim=1)
    out.copy_(result.flatten(1, 2))
    lse.copy_(result_lse.flatten(1, 2).masked_fill(dead, -math.inf))


def rows_backward(
    program: Program, part: Sequence, queries: tuple[Tensor, ...], keys: tuple[Tensor, ...], scale: float
) -> None:
    """Add to dq, dk and dv, the last of each side."""
    grad, q, out, lse, dq = queries
    k, v, dk, dv = keys
    mask, used = _visible(program, part)
    query, key, value, bias = _batch(mask, used, q, k, v)
    groups = (k.shape[1], q.shape[1] // k.shape[1])
    folded = (_grouped(x, groups) for x in (grad, out, lse))
    grad_in, out_in, lse_in = folded
    parts = flash.backward(grad_in, query, key, value, out_in, lse_in, bias, causal=False, scale=scale)
    dq.add_(parts[0].flatten(1, 2))
    for target, gradient in ((dk, parts[1]), (dv, parts[2])):
        target.index_add_(2, used, gradient.sum(dim=2).to(target.dtype))


def _visible(program: Program, part: Sequence) -> tuple[Tensor, Tensor]:
    """The mask of the rows over the keys that are used, and the positions of those keys."""
    positions = torch.arange(part.first_position, part.first_position + part.rows)
    mask = mask_rows(program, positions, part.length)
    used = mask.any(dim=0).nonzero().squeeze(-1)
    return mask[:, used], used


def _batch(mask: Tensor, used: Tensor, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """q [B, Hkv, G, rows, D]; k and v [B, Hkv, G, used, D], expanded; the additive mask, expanded."""
    groups = (k.shape[1], q.shape[1] // k.shape[1])
    query = _grouped(q, groups)
    key, value = (x.index_select(2, used).unsqueeze(2).expand(-1, -1, groups[1], -1, -1) for x in (k, v))
    return query, key, value, flash.bias(mask, q.dtype).expand(*query.shape[:3], -1, -1)


def _grouped(x: Tensor, groups: tuple[int, int]) -> Tensor:
    """[B, Hq, ...] as [B, Hkv, group, ...], contiguous."""
    return x.reshape(x.shape[0], *groups, *x.shape[2:]).contiguous()
