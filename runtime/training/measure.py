"""How much of dense attention a layer reads, and what that costs: both read off the layer's own softmax.

The normaliser of a row is a sum over what it reads. With every gate that is open at 1, that of the layer by that of
dense attention is the share of dense attention on what is read; and with all scores 0 it is the number of keys that are
read. So the engine that runs the layer is what is measured, in its memory and time, whatever the pattern is made of.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from ...patterns_dsl.builtin.selectors import MEDIUM_SIZE
from ..learned.attention import Attended, LearnedAttention, Selections
from ..selectors.layer import allowed_pairs
from ..selectors.selection import (
    COARSE,
    MEDIUM,
    BlockSelection,
    KeySelection,
    LevelSelection,
    Selection,
    SummarySelection,
    TermGate,
    TokenSelection,
)
from .dense_maps import DenseAttention


@torch.no_grad()
def density(layer: LearnedAttention, dense: DenseAttention, selections: Selections) -> Tensor:
    """[Hq]: of the pairs that the direction allows and whose tokens exist, the share that is read; a summary is one."""
    nothing = torch.zeros_like(dense.q), torch.zeros_like(dense.k)
    counted = {name: _counted(selection) for name, selection in selections.items()}
    read = _lse(layer, *nothing, dense, counted).exp().sum((0, 2))
    return read / allowed_pairs(dense.inputs, dense.direction).sum().clamp_min(1)


@torch.no_grad()
def coverage(layer: LearnedAttention, dense: DenseAttention, selections: Selections) -> Tensor:
    """[Hq]: the share of dense attention on the tokens that are read, the mean over the queries that exist. The summary
    of a block counts as what it weighs, at most its block's share; those of ``pooled`` stand beside tokens and do not
    count."""
    weighed = {name: _weighed(selection) for name, selection in selections.items()}
    whole = dense.lse()
    share = (_lse(layer, dense.q, dense.k, dense, weighed) - whole).exp()
    present = whole > -torch.inf
    return share.masked_fill(~present, 0.0).sum((0, 2)) / present.sum((0, 2)).clamp_min(1)


def _lse(layer: LearnedAttention, q: Tensor, k: Tensor, dense: DenseAttention, selections: Selections) -> Tensor:
    dtype = layer.dtype or torch.promote_types(q.dtype, torch.float32)
    q, k = q.to(dtype), k.to(dtype)
    v = torch.zeros_like(k)
    found: Attended = layer(
        q,
        k,
        v,
        inputs=dense.inputs,
        selections=selections,
        scale=dense.scale,
        softcap=dense.softcap,
        return_selections=True,
    )
    return found.lse


def _weighed(selection: Selection) -> Selection:
    """The selection with every gate that is open at 1, and no summaries beside tokens."""
    match selection:
        case TermGate(gate):
            return TermGate(_open(gate))
        case TokenSelection(column_gate=column, row_gate=row):
            return replace(selection, column_gate=_open(column), row_gate=None if row is None else _open(row))
        case SummarySelection(counts=counts):
            return replace(selection, counts=torch.zeros_like(counts))
        case BlockSelection() | KeySelection() | LevelSelection():
            return replace(selection, log_gate=_open(selection.log_gate))


def _counted(selection: Selection) -> Selection:
    """As ``_weighed``, with a weight of 1 for every summary; of one that the end cuts short, a part."""
    match selection:
        case SummarySelection(keys=keys):
            return replace(selection, keys=torch.zeros_like(keys), log_size=0.0)
        case LevelSelection(block=block, level=level, log_gate=gate):
            gate = _open(gate) - (level == COARSE) * math.log(block) - (level == MEDIUM) * math.log(MEDIUM_SIZE)
            return replace(selection, log_gate=gate)
        case _:
            return _weighed(selection)


def _open(log_gate: Tensor) -> Tensor:
    return torch.zeros_like(log_gate).masked_fill(log_gate.isneginf(), -torch.inf)
