"""What the compose engine runs: stages of batches of equal dense blocks, or of diagonals, forward and backward.

For a disjoint union of parts with outputs O_t and log-normalisers L_t, the softmax over the union is

    L = log sum_t exp L_t        O = sum_t exp(L_t - L) O_t

and its gradient is each part's own flash backward, called with the final (O, L): the sum over parts is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from ... import guard
from ...engine import Call
from ..plan.block import Block
from ..plan.diagonal import Diagonals
from ..plan.place import Scratch
from ..plan.stage import Batch, Bias, Stage, Stages
from . import diagonals, flash
from .flash import rows_contiguous
from .views import BlockViews

AT_ONCE = 1 << 20
"""Elements of gradients that the kernel is asked for at a time, for each thread: few enough to be added up out of the
cache. There are many, since each tile has some for every key that it reads."""


def stages_forward(stages: Stages, q: Tensor, k: Tensor, v: Tensor, into: tuple[Tensor, Tensor], call: Call) -> None:
    """Fill out and lse, which hold 0 and -inf in rows that no fresh batch writes."""
    out, lse = into
    groups = q.shape[1] // k.shape[1]
    q, k, v = (rows_contiguous(x) for x in (q, k, v))
    column = lse.unsqueeze(-1)
    scratch = Scratch(), Scratch()
    for stage in stages:
        if isinstance(stage, Diagonals):
            _add(stage, q, k, v, into, call)
            continue
        qs, ks, vs = stage.query.take(q), stage.key.take(k, scratch[0]), stage.key.take(v, scratch[1])
        total, total_lse = stage.query.take(out), stage.query.take(column)
        for batch, block in _each(stage):
            views = BlockViews(stage.query, stage.key, block, groups)
            query = views.queries(qs)
            flash.forward(
                query,
                views.keys(ks),
                views.keys(vs),
                _expanded(batch.bias, query),
                causal=block.triangle,
                call=call,
                into=(views.queries(total), views.queries(total_lse).squeeze(-1)),
                write=partial(_write, batch),
            )
        stage.query.put_back(out, total)
        stage.query.put_back(column, total_lse)


def _add(stage: Diagonals, q: Tensor, k: Tensor, v: Tensor, into: tuple[Tensor, Tensor], call: Call) -> None:
    own = into if stage.fresh else (torch.empty_like(into[0]), torch.empty_like(into[1]))
    own[0].zero_()
    own[1].fill_(-math.inf)
    diagonals.forward(stage, q, k, v, own, call)
    if not stage.fresh:
        merge(*into, *own)


def _write(batch: Batch, out: Tensor, lse: Tensor, part: Tensor, part_lse: Tensor) -> None:
    if batch.bias is not None and batch.bias.dead is not None:
        part_lse.masked_fill_(batch.bias.dead, -math.inf)
    (flash.overwrite if batch.fresh else merge)(out, lse, part, part_lse)


def merge(out: Tensor, lse: Tensor, part: Tensor, part_lse: Tensor) -> None:
    """Add a disjoint part to the softmax in out [..., D] and lse [...], in place; where both have no key, out stays."""
    share = torch.sub(part_lse, lse).sigmoid_().nan_to_num_(0.0)  # exp(part_lse - total)
    out.lerp_(part.to(out.dtype), share.unsqueeze(-1).to(out.dtype))
    torch.logaddexp(lse, part_lse, out=lse)


def stages_backward(stages: Stages, queries: guard.Queries, keys: guard.Keys, call: Call) -> None:
    """Add to dq, dk and dv, the last of each side."""
    grad, q, out, lse, dq = queries
    k, v, dk, dv = keys
    groups = q.shape[1] // k.shape[1]
    grad, q, out, k, v = (rows_contiguous(x) for x in (grad, q, out, k, v))
    column = lse.unsqueeze(-1)
    for stage in stages:
        if isinstance(stage, Diagonals):
            diagonals.backward(stage, (grad, q, out, lse, dq), (k, v, dk, dv), call)
            continue
        grads, qs, outs, lses = (stage.query.take(x) for x in (grad, q, out, column))
        ks, vs = stage.key.take(k), stage.key.take(v)
        dqs, dks, dvs = stage.query.take(dq), stage.key.take(dk), stage.key.take(dv)
        for batch, run in _each(stage):
            for block in run.portions(_at_once(run, q)):
                views = BlockViews(stage.query, stage.key, block, groups)
                query = views.queries(qs)
                parts = flash.backward(
                    views.queries(grads),
                    query,
                    views.keys(ks),
                    views.keys(vs),
                    views.queries(outs),
                    views.queries(lses).squeeze(-1),
                    _expanded(batch.bias, query),
                    causal=block.triangle,
                    call=call,
                )
                views.queries(dqs).add_(parts[0])
                views.add_to_keys(dks, parts[1])
                views.add_to_keys(dvs, parts[2])
        stage.query.put_back(dq, dqs)
        stage.key.put_back(dk, dks)
        stage.key.put_back(dv, dvs)


def _each(stage: Stage) -> Iterator[tuple[Batch, Block]]:
    """The batches, those whose tiles grow tile by tile."""
    return ((batch, block) for batch in stage.batches for block in batch.block.even())


def _at_once(block: Block, q: Tensor) -> int:
    """How many blocks of each head, of q [B, H, N, D], the kernel is asked for at a time."""
    gradients = q.shape[0] * q.shape[1] * (block.tiles.rows + 2 * block.tiles.keys) * q.shape[3]
    return max(1, AT_ONCE * torch.get_num_threads() // gradients)


def _expanded(bias: Bias | None, query: Tensor) -> Tensor | None:
    """The additive mask, expanded to the batch of ``query`` [..., rows, D]."""
    return None if bias is None else bias.added.expand(*query.shape[:-2], -1, -1)
