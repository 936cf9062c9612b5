"""Stationary tiles whose sweeps are shared out among several program instances, which leave parts that are joined in
the order of shares: the same bits every time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ....compiler.kernels import grids, launch, work
from ....compiler.passes.count import tile_count
from ....compiler.passes.pinned import Pinned
from ....compiler.passes.program import Program
from .kernel_run import KernelRun, Launch
from .launching import Part, machine

_LARGEST_PARTS = 256 << 20
"""Bytes of a buffer for the parts of shared-out rows."""

_FEW, _ALIKE = 128, 256


def is_few(part: Part) -> bool:
    """Whether a call has so few rows, as in decoding, that they are shared out alike at all lengths that are ``alike``:
    to count their tiles for every token would take longer than to attend."""
    return part.queries <= _FEW and part.call.documents is None


def alike(keys: int) -> int:
    return -(-keys // _ALIKE) * _ALIKE


def split_of(run: KernelRun, q: Tensor) -> work.Split:
    """Which tiles are shared out in a launch of one program."""
    part, call, [member] = run.part, run.part.call, run.members
    kernel, held = work.kernel_of(member.program, run.role, run.index)
    # The join takes the orders that have no digits.
    if call.documents is not None or kernel.order.tiled or run.blocks * run.bundles == 0:
        return work.WHOLE
    keys_stand = run.role == "backward_key"
    few = is_few(part) and not keys_stand
    grown = alike(part.keys) - part.keys if few else 0
    nk = part.keys + grown
    offset, n = (0, part.queries) if member.program.cross else (call.query_offset + grown, nk)
    # Forward and the gradient of queries visit the same tiles.
    role: launch.Role = "backward_key" if keys_stand else "forward"
    swept = _work(Pinned(member.program), role, run.index, n, nk, (offset, offset + part.queries))
    classes, limit, first = kernel.order.classes, held, 0
    if not keys_stand:
        first, last = work.window(kernel.order, held, part.queries, offset, n)
        swept, classes, limit = swept[first:last], min(classes, part.queries), min(part.queries, held)
    per_head, processors = classes * -(-limit // run.ranks), machine(q.device).processors
    turn = grids.turn(run.bundles, run.blocks, processors)
    split = work.split(swept, first, per_head * run.bundles, per_head * turn, processors)
    return work.Split(0, work.ALL, split.shares) if few and split != work.WHOLE else split


_SEQUENCES = ("spans_ptr", "heads", "group", "Nq", "Nk", "query_offset")
"""What says where the rows of a call stand."""


@dataclass(frozen=True, slots=True)
class SharedRows:
    """Query blocks whose keys are shared out: the launch of the instances, and that which joins what they find."""

    launch: Launch
    join: Launch
    rows: int

    def __call__(self, arguments: dict[str, Any]) -> None:
        q, (_, bundles, shares) = arguments["q_ptr"], self.launch.grid
        row = q.shape[3]
        out = q.new_empty((bundles, shares, self.rows, row), dtype=torch.float32)
        lse = q.new_empty(out.shape[:3], dtype=torch.float32)
        strides = {"o_b": 0, "o_h": shares * self.rows * row, "o_n": row, "o_d": 1}
        self.launch({**arguments, **strides, "out_ptr": out, "lse_ptr": lse})
        if not self.launch.build:
            target = (*_SEQUENCES, "out_ptr", "lse_ptr", "o_b", "o_h", "o_n", "o_d")
            self.join({name: arguments[name] for name in target} | {"part_ptr": out, "part_lse_ptr": lse})


@dataclass(frozen=True, slots=True)
class SharedGradients:
    """Likewise, of gradients: ``add_up`` is launched for each of the arguments ``names``."""

    launch: Launch
    add_up: Launch
    rows: int
    names: tuple[str, ...]

    def __call__(self, arguments: dict[str, Any]) -> None:
        q, (_, bundles, shares) = arguments["q_ptr"], self.launch.grid
        shape = (bundles, shares, self.rows, q.shape[3])
        parts = {name: q.new_empty(shape, dtype=torch.float32) for name in self.names}
        self.launch({**arguments, **parts})
        if not self.launch.build:
            given = {name: arguments[name] for name in _SEQUENCES}
            for name, part in parts.items():
                self.add_up({**given, "part_ptr": part, "gradient_ptr": arguments[name]})


def shared(run: KernelRun, q: Tensor, split: work.Split) -> SharedRows | SharedGradients:
    """The launches of the tiles of ``split``, each by several instances, for tensors like ``q``."""
    from .joining import add_up, join  # imports triton

    [member], head_dim = run.members, q.shape[3]
    kernel, held = work.kernel_of(member.program, run.role, run.index)
    order, blocks = kernel.order, run.blocks
    if split.hi < work.ALL:
        blocks = min(blocks, order.classes * split.tiles(_last_tile(run)) * -(-held // run.ranks))
    rows = blocks * run.block
    shares = min(split.shares, max(1, _LARGEST_PARTS // (4 * run.bundles * rows * head_dim)))
    grid = blocks, run.bundles, shares
    common = run.ownership | {"split_lo": split.lo, "split_hi": split.hi, "shares": shares}
    common |= {"CROSS": member.program.cross, "HEAD_DIM": head_dim, "BLOCK_D": launch.block_dim(head_dim)}
    common |= {"PERIOD": order.period, "COUNT": order.count, "START": order.start, "CLASSES": order.classes}
    common |= {"TILE": held, "num_warps": 4} | launch.FUSED
    if run.role == "forward":
        # A later kernel of a chain resumes: from nothing, since what the earlier ones left is joined at the end.
        joined = Launch(
            join, (*grid[:2], 1), common | {"BLOCK_Q": run.block, "PACK": run.pack, "RESUME": run.index > 0}
        )
        return SharedRows(run.launch(q, split, grid=grid), joined, rows)
    common |= {"BLOCK": run.block, "ADD": run.add, "KEYS": run.role == "backward_key", "MIXED": run.mixed}
    added = Launch(add_up, (*grid[:2], 1), common)
    return SharedGradients(replace(run, add=False).launch(q, split, grid=grid), added, rows, run.written)


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
