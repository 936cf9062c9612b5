"""Lists as one dense attention under a mask: the faster way where they hold much of the table, or the table is small.

The same two functions as in ``gathered.py``, for all lists of a call at once. Gradients of gates are sums over
their pairs, which torch's kernel does not return: where they are asked for, backward goes by the lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F

from ...engines.compose.running import flash
from ...engines.compose.running.stages import merge
from ...engines.engine import Call
from ..lists.key_lists import KeyLists
from ..lists.places import parted
from .gathered import Rows
from .products import Scores
from .widened import dense_bias

MOST_SCORES = 1 << 26
"""Of a table that is held."""


def runs(lists: Sequence[KeyLists], q: Tensor, k: Tensor, scores: Scores) -> bool:
    """Whether this way is open: on a CPU, for a table that is neither too large nor empty, without a cap or a probe."""
    columns = sum(each.keys.shape[2] for each in lists if each.keys is not None)
    if any(each.keys is None for each in lists):
        columns += k.shape[2]
    return (
        q.device.type == "cpu"
        and scores.softcap is None
        and scores.scale > 0
        and not any(each.probe for each in lists)
        and 0 < q.shape[:3].numel() * columns <= MOST_SCORES
    )


def add(lists: Sequence[KeyLists], q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, scores: Scores) -> None:
    """Merge into out [B, Hq, Nq, D] and lse [B, Hq, Nq], both of the accumulator's data type, in place."""
    keys, values, mask = _table(lists, q, k, v, out.dtype)
    query = parted(q.to(out.dtype), 1, k.shape[1], -1)
    part, part_lse = flash.forward(query, *_shared(query, keys, values), mask, causal=False, call=Call(scores.scale))
    part_lse = part_lse.masked_fill(mask.amax(-1).isneginf(), -torch.inf)
    merge(out, lse, part.flatten(1, 2), part_lse.flatten(1, 2))


def gradients(
    lists: Sequence[KeyLists],
    q: Tensor,
    k: Tensor,
    v: Tensor,
    whole: Rows,
    sums: tuple[Tensor, Tensor, Tensor],
    scores: Scores,
) -> Iterator[dict[str, Tensor]]:
    """Add to ``sums``, the gradients of q, k and v; for each of ``lists`` the gradients of what it learns, 0 of gates,
    which are not asked for."""
    dtype, width, key_heads = whole.lse.dtype, q.shape[-1], k.shape[1]
    keys, values, mask = _table(lists, q, k, v, dtype)
    query, grad, out = (parted(x.to(dtype), 1, key_heads, -1) for x in (q, whole.grad, whole.out))
    lse = parted(whole.lse[..., 0], 1, key_heads, -1)
    if whole.grad_lse is not None:  # dS = P (dO v^T - delta) gains d lse by a column of ones in the values
        grad = torch.cat([grad, parted(whole.grad_lse, 1, key_heads, -1)], -1)
        values = torch.cat([values, torch.ones_like(values[..., :1])], -1)
        query, keys, out = (F.pad(x, (0, 1)) for x in (query, keys, out))
    dq, dk, dv = flash.backward(
        grad, query, *_shared(query, keys, values), out, lse, mask, causal=False, call=Call(scores.scale)
    )
    sums[0].add_(dq[..., :width].flatten(1, 2))
    dk, dv = (x[..., :width].sum(2) for x in (dk, dv))
    first = 0
    if any(each.keys is None for each in lists):
        first = k.shape[2]
        sums[1].add_(dk[:, :, :first])
        sums[2].add_(dv[:, :, :first])
    for each in lists:
        found = {name: torch.zeros(x.shape, dtype=dtype) for name, x in each.learned().items()}
        if each.keys is not None:
            last = first + each.keys.shape[2]
            found["keys"] += dk[:, :, first:last]
            found["values"] += dv[:, :, first:last]
            first = last
        yield found


def _table(
    lists: Sequence[KeyLists], q: Tensor, k: Tensor, v: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """(keys, values, what is added to the scores): the tokens, where some list reads them, then the summaries of each
    list that has its own. [B, Hkv, P, D] twice, [B, Hkv, group, Nq, P]."""
    heads, key_heads, queries = q.shape[1], k.shape[1], q.shape[2]

    def bias(each: KeyLists, keys: int) -> Tensor:
        return dense_bias(each, heads, key_heads, queries, keys, dtype)

    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    if of_tokens := [bias(each, k.shape[2]) for each in lists if each.keys is None]:
        parts.append((k, v, reduce(torch.maximum, of_tokens)))  # no two lists hold a pair
    parts += [
        (each.keys, each.values, bias(each, each.keys.shape[2]))
        for each in lists
        if each.keys is not None and each.values is not None
    ]
    shape = q.shape[0], key_heads, heads // key_heads, queries
    if len(parts) == 1:
        own_keys, own_values, added = parts[0]
        # Before they are expanded, which a copy would undo.
        keys, values = (flash.rows_contiguous(x.to(dtype)) for x in (own_keys, own_values))
        return keys, values, added.expand(*shape, -1)
    keys, values = (torch.cat([part[at].to(dtype) for part in parts], 2) for at in (0, 1))
    return keys, values, torch.cat([added.expand(*shape, -1) for _, _, added in parts], -1)


def _shared(query: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values for each query head of a key head."""
    group = query.shape[2]
    return tuple(x[:, :, None].expand(-1, -1, group, -1, -1) for x in (keys, values))  # type: ignore[return-value]
