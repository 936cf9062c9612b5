"""Attention over lists by Triton kernels: the same two functions as in ``gathered.py``, on a GPU or interpreted."""

from __future__ import annotations

import torch
from torch import Tensor

from ...engines.triton.launching import check_device
from ..lists.key_lists import KeyLists
from ..running.gathered import Rows
from ..running.products import Scores
from .forward import list_forward
from .run import Run, Slopes, strides_of
from .shares import add_share, rows_of, shares


def add(lists: KeyLists, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, scores: Scores) -> None:
    """Merge into out [B, Hq, Nq, D] and lse [B, Hq, Nq], contiguous and fp32, in place; out in fp32 or as q.

    A batch that is too large for one grid is run in several. Raises EngineUnavailable on a CPU without the interpreter,
    EngineError for what kernels do not compute.
    """
    check_device(q.device)
    if lists.probe:
        return
    for elements, own in shares(lists, q, k):
        _add(own, q[elements], k[elements], v[elements], out[elements], lse[elements], scores)


def _add(lists: KeyLists, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, scores: Scores) -> None:
    run = Run.of(lists, q, k, v, scores)
    if run.empty:
        return
    strides = strides_of(q=run.q, k=run.k, v=run.v, o=out)
    with run.device:
        list_forward[run.grid](
            run.q, run.k, run.v, out, lse, *run.list_arguments(run.tables.ends), *strides, *run.sizes(), run.blocks,
            *run.list_sizes(), **run.constants(), **run.options("forward"),
        )  # fmt: skip


def gradients(
    lists: KeyLists,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    whole: Rows,
    sums: tuple[Tensor, Tensor, Tensor],
    scores: Scores,
    *,
    gates: bool,
) -> dict[str, Tensor]:
    """As ``gathered.gradients``."""
    if lists.probe:
        if not gates:
            return _zeros(lists)
        # The kernel adds to dq, and what takes no part adds nothing.
        sums = (torch.empty_like(sums[0]), *sums[1:])
    parts, batch = list(shares(lists, q, k)), q.shape[0]
    if len(parts) == 1:
        return _gradients(lists, q, k, v, whole, sums, scores, gates=gates)
    found = _zeros(lists)
    for elements, own in parts:
        dq, dk, dv = (x[elements] for x in sums)
        given = rows_of(whole, elements)
        part = _gradients(own, q[elements], k[elements], v[elements], given, (dq, dk, dv), scores, gates=gates)
        add_share(found, part, elements, batch)
    return found


def _gradients(
    lists: KeyLists,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    whole: Rows,
    sums: tuple[Tensor, Tensor, Tensor],
    scores: Scores,
    *,
    gates: bool,
) -> dict[str, Tensor]:
    found = _zeros(lists)
    run = Run.of(lists, q, k, v, scores)
    if run.empty:
        return found
    slopes = Slopes(run, whole, sums[0], found.get("keys", sums[1]), found.get("values", sums[2]))
    by_key, by_row = slopes.run(gates and "gate" in found, gates and bool({"row_gate", "head_gate"} & set(found)))
    if by_key is not None:
        by_group = by_key.view(*by_key.shape[:1], lists.groups, -1, *by_key.shape[2:]).sum(2)
        found["gate"] += by_group.sum_to_size(found["gate"].shape)
    if by_row is not None and "row_gate" in found:
        by_group = by_row.view(by_row.shape[0], lists.groups, -1, by_row.shape[-1]).sum(2)
        found["row_gate"] += by_group.sum_to_size(found["row_gate"].shape)
    if by_row is not None and "head_gate" in found:
        found["head_gate"] += by_row.sum((0, 2))
    return found


def _zeros(lists: KeyLists) -> dict[str, Tensor]:
    """Of what the lists learn."""
    return {name: torch.zeros(x.shape, dtype=torch.float32, device=x.device) for name, x in lists.learned().items()}
