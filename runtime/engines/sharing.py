"""Rows whose keys are shared out among several program instances."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from ...compiler.kernels import launch, work
from ...compiler.passes.pinned import Pinned
from ...compiler.passes.program import Program
from .kernel_run import KernelRun
from .launching import machine

_LARGEST_PARTS = 256 << 20
"""Bytes of a buffer for the parts of shared-out rows."""


def split_of(run: KernelRun, arguments: dict[str, Any]) -> work.Split:
    """Whose keys are shared out in a forward launch of one program."""
    part, call, [member] = run.part, run.part.call, run.members
    kernel = member.program.forward[run.index]
    held = member.program.queries_held(kernel)
    # The join takes the orders that have no digits.
    if call.documents is not None or kernel.order.tiled or run.blocks * run.bundles == 0:
        return work.WHOLE
    offset, n = (0, part.queries) if member.program.cross else (call.query_offset, part.keys)
    blocks_of_tile = -(-min(part.queries, held) // run.ranks)
    per_tile = min(kernel.order.classes, part.queries) * blocks_of_tile * run.bundles
    first, last = work.window(kernel.order, held, part.queries, offset, n)
    swept = _work(Pinned(member.program), run.index, n, part.keys)[first:last]
    return work.split(swept, first, per_tile, machine(arguments["q_ptr"].device).processors)


def launch_shared(run: KernelRun, arguments: dict[str, Any], split: work.Split) -> None:
    """The rows of ``split``, each by several instances that take a share of its keys, and then joined."""
    from .joining import join  # imports triton

    q, head_dim = arguments["q_ptr"], arguments["q_ptr"].shape[3]
    [member] = run.members
    kernel = member.program.forward[run.index]
    order, tile, blocks = kernel.order, member.program.queries_held(kernel), run.blocks
    if split.hi < work.ALL:
        blocks = min(blocks, order.classes * (split.hi - split.lo) * (tile // run.ranks))
    row = blocks * run.options.block_q
    shares = min(split.shares, max(1, _LARGEST_PARTS // (4 * run.bundles * row * head_dim)))
    shape = (run.bundles, shares, row)
    # A later kernel of a chain resumes: from nothing, since what the earlier ones left is joined at the end.
    out = q.new_zeros((*shape, head_dim), dtype=torch.float32)
    lse = q.new_full(shape, -torch.inf, dtype=torch.float32)
    strides = {"o_b": 0, "o_h": shares * row * head_dim, "o_n": head_dim, "o_d": 1}
    run({**arguments, **strides, "out_ptr": out, "lse_ptr": lse}, split, grid=(blocks, run.bundles, shares))
    if run.build:
        return
    given = ("out_ptr", "lse_ptr", "spans_ptr", "o_b", "o_h", "o_n", "o_d", "heads", "group", "Nq", "Nk")
    join[(blocks, run.bundles)](
        part_ptr=out,
        part_lse_ptr=lse,
        **{name: arguments[name] for name in (*given, "query_offset")},
        **run.ownership,
        split_lo=split.lo,
        split_hi=split.hi,
        shares=shares,
        RESUME=run.index > 0,
        CROSS=member.program.cross,
        HEAD_DIM=head_dim,
        BLOCK_D=launch.block_dim(head_dim),
        BLOCK_Q=run.options.block_q,
        PACK=run.pack,
        PERIOD=order.period,
        COUNT=order.count,
        START=order.start,
        CLASSES=order.classes,
        TILE=tile,
        num_warps=4,
    )


@lru_cache(maxsize=64)
def _work(pinned: Pinned[Program], index: int, n: int, nk: int) -> Any:
    return work.swept_tiles(pinned.program, index, n, nk)
