"""Stationary tiles whose sweeps are shared out among several program instances, which leave parts that are joined in
the order of shares: the same bits every time."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from ...compiler.kernels import launch, work
from ...compiler.passes.count import tile_count
from ...compiler.passes.pinned import Pinned
from ...compiler.passes.program import Program
from .kernel_run import KernelRun
from .launching import machine

_LARGEST_PARTS = 256 << 20
"""Bytes of a buffer for the parts of shared-out rows."""

_FEW, _ALIKE = 128, 256
"""So few rows, as in decoding, are shared out as those of the next length that so many divide: their tiles are few, and
to count them for every token would take longer than to attend."""


def split_of(run: KernelRun, arguments: dict[str, Any]) -> work.Split:
    """Which tiles are shared out in a launch of one program."""
    part, call, [member] = run.part, run.part.call, run.members
    kernel, held = work.kernel_of(member.program, run.role, run.index)
    # The join takes the orders that have no digits.
    if call.documents is not None or kernel.order.tiled or run.blocks * run.bundles == 0:
        return work.WHOLE
    keys_stand = run.role == "backward_key"
    few = part.queries <= _FEW and not keys_stand
    grown = -part.keys % _ALIKE if few else 0
    nk = part.keys + grown
    offset, n = (0, part.queries) if member.program.cross else (call.query_offset + grown, nk)
    # Forward and the gradient of queries visit the same tiles.
    role: launch.Role = "backward_key" if keys_stand else "forward"
    swept = _work(Pinned(member.program), role, run.index, n, nk, (offset, offset + part.queries))
    classes, limit, first = kernel.order.classes, held, 0
    if not keys_stand:
        first, last = work.window(kernel.order, held, part.queries, offset, n)
        swept, classes, limit = swept[first:last], min(classes, part.queries), min(part.queries, held)
    per_head, processors = classes * -(-limit // run.ranks), machine(arguments["q_ptr"].device).processors
    turn = launch.turn(run.bundles, run.blocks, processors)
    split = work.split(swept, first, per_head * run.bundles, per_head * turn, processors)
    return work.Split(0, work.ALL, split.shares) if few and split != work.WHOLE else split


def launch_shared(run: KernelRun, arguments: dict[str, Any], split: work.Split) -> None:
    """The tiles of ``split``, each by several instances that take a share of what it sweeps, and then joined."""
    from .joining import add_up, join  # imports triton

    q, head_dim = arguments["q_ptr"], arguments["q_ptr"].shape[3]
    [member] = run.members
    kernel, held = work.kernel_of(member.program, run.role, run.index)
    order = kernel.order
    classes = min(order.classes, run.part.queries) if order.residues and run.role != "backward_key" else order.classes
    blocks = min(run.blocks, classes * split.tiles(_last_tile(run)) * -(-held // run.ranks))
    rows = blocks * run.block
    shares = min(split.shares, max(1, _LARGEST_PARTS // (4 * run.bundles * rows * head_dim)))
    grid, shape = (blocks, run.bundles, shares), (run.bundles, shares, rows)
    given = ("spans_ptr", "heads", "group", "Nq", "Nk", "query_offset")
    common: dict[str, Any] = {name: arguments[name] for name in given} | run.ownership
    common |= {"split_lo": split.lo, "split_hi": split.hi, "shares": shares, "CROSS": member.program.cross}
    common |= {"HEAD_DIM": head_dim, "BLOCK_D": launch.block_dim(head_dim), "TILE": held, "num_warps": 4}
    common |= {"PERIOD": order.period, "COUNT": order.count, "START": order.start, "CLASSES": order.classes}
    if run.role == "forward":
        out = q.new_empty((*shape, head_dim), dtype=torch.float32)
        lse = q.new_empty(shape, dtype=torch.float32)
        strides = {"o_b": 0, "o_h": shares * rows * head_dim, "o_n": head_dim, "o_d": 1}
        run({**arguments, **strides, "out_ptr": out, "lse_ptr": lse}, split, grid=grid)
        if run.build:
            return
        target = {name: arguments[name] for name in ("out_ptr", "lse_ptr", "o_b", "o_h", "o_n", "o_d")}
        constants = {"BLOCK_Q": run.block, "PACK": run.pack, "RESUME": run.index > 0}
        join[grid[:2]](part_ptr=out, part_lse_ptr=lse, **target, **common, **constants)
        return
    parts = {name: q.new_empty((*shape, head_dim), dtype=torch.float32) for name in run.written}
    replace(run, add=False)({**arguments, **parts}, split, grid=grid)
    if run.build:
        return
    keys = run.role == "backward_key"
    constants = {"BLOCK": run.block, "ADD": run.add, "KEYS": keys, "MIXED": run.mixed}
    for name, found in parts.items():
        add_up[grid[:2]](part_ptr=found, gradient_ptr=arguments[name], **common, **constants)


def _last_tile(run: KernelRun) -> int:
    """One past the last stationary tile that a launch has, of any class."""
    part, [member] = run.part, run.members
    kernel, held = work.kernel_of(member.program, run.role, run.index)
    if run.role == "backward_key":
        return tile_count(kernel.order, 0, part.keys, held)
    offset, n = (0, part.queries) if member.program.cross else (part.call.query_offset, part.keys)
    return work.window(kernel.order, held, part.queries, offset, n)[1]


@lru_cache(maxsize=64)
def _work(pinned: Pinned[Program], role: launch.Role, index: int, n: int, nk: int, rows: tuple[int, int]) -> Any:
    return work.swept_tiles(pinned.program, role, index, n, nk, rows)
