"""Launches of generated kernels: over which grid, in which blocks, with which arguments."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...compiler.kernels import launch, work
from ...compiler.kernels.kernel_file import kernels
from ...compiler.passes.pinned import Pinned
from ...compiler.passes.program import Program
from .engine import Call

_LARGEST_GRID_Y = 65535
_LARGEST_PARTS = 256 << 20
"""Bytes of a buffer for the parts of shared-out rows."""


def interpreted() -> bool:
    """Whether Triton runs its kernels in its interpreter. Triton reads the variable when a kernel is defined."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")


@dataclass(frozen=True, slots=True)
class Machine:
    """``shared``: bytes of shared memory that a program instance may use. ``processors``: how many run side by side."""

    backend: str
    shared: int
    processors: int

    @property
    def precision(self) -> str:
        """How fp32 blocks are multiplied. tf32x3 splits each factor in three tensor-core products, and keeps fp32's
        accuracy to a few units in the last place; AMD's compiler multiplies in fp32 itself, and so does the
        interpreter."""
        return {"cuda": "tf32x3", "hip": "ieee"}.get(self.backend, "fp32")


@lru_cache
def machine(device: torch.device) -> Machine:
    """What a device is, as far as launches ask."""
    if device.type == "cpu" or interpreted():
        return Machine("interpreter", 1 << 30, 8)
    properties: Any = torch.cuda.get_device_properties(device)  # torch's stub lacks an attribute
    if torch.version.hip:
        return Machine("hip", launch.SHARED_MEMORY["gfx942"], properties.multi_processor_count)
    return Machine("cuda", int(properties.shared_memory_per_block_optin), properties.multi_processor_count)


@dataclass(frozen=True, slots=True)
class Part:
    """As many sequences as fit axis 1 of a grid: what of a batch they lie in, and what says where."""

    batch: slice
    spans: Tensor | None
    sequences: int
    queries: int  # at most, in one sequence
    keys: int
    call: Call

    def pick(self, **tensors: Tensor) -> dict[str, Tensor]:
        return {name: tensor[self.batch] for name, tensor in tensors.items()}


def parts(q: Tensor, k: Tensor, call: Call) -> Iterator[Part]:
    batch, heads, queries, keys = *q.shape[:3], k.shape[2]
    step = max(1, _LARGEST_GRID_Y // max(1, heads))
    if call.documents is None:
        for start in range(0, batch, step):
            part = slice(start, min(start + step, batch))
            spans = None if call.spans is None else call.spans[part].contiguous()
            yield Part(part, spans, part.stop - start, queries, keys, call)
        return
    edges = call.documents.contiguous()
    longest = keys if call.max_seqlen is None else min(keys, call.max_seqlen)
    if edges.device.type == "cpu":  # elsewhere a look at them would stop the stream
        longest = max(edges.diff().tolist(), default=0)
    for start in range(0, len(edges) - 1, step):
        stop = min(start + step, len(edges) - 1)
        yield Part(slice(0, 1), edges[start : stop + 1], stop - start, longest, longest, call)


def arguments_of(pointers: dict[str, Tensor], strided: dict[str, Tensor], part: Part) -> dict[str, Any]:
    q, k = strided["q"], strided["k"]
    strides = {f"{name}_{axis}": x.stride(at) for name, x in strided.items() for at, axis in enumerate("bhnd")}
    sizes = {"heads": q.shape[1], "group": q.shape[1] // k.shape[1], "Nq": q.shape[2], "Nk": k.shape[2]}
    return {
        **pointers,
        **strides,
        **sizes,
        "spans_ptr": part.spans,
        "owner_ptr": None,
        "owner": 0,
        "query_offset": part.call.query_offset,
        "scale": float(part.call.scale),
    }


def launch_forward(program: Program, index: int, arguments: dict[str, Any], part: Part) -> None:
    """Kernel ``index`` of the forward chain: first the rows whose keys are shared out, then all others."""
    q, k, call = arguments["q_ptr"], arguments["k_ptr"], part.call
    heads, head_dim, group = q.shape[1], q.shape[3], q.shape[1] // k.shape[1]
    device, kernel = machine(q.device), program.forward[index]
    pack = launch.pack(part.queries, group)
    lanes = part.queries * pack
    chosen = launch.options("forward", program.tile, head_dim, q.element_size(), device.shared, lanes)
    ranks = chosen.block_q // pack
    blocks = launch.query_blocks(kernel.order, ranks, part.queries, call.query_offset, _tokens(program, part))
    bundles = part.sequences * (heads // group if pack > 1 else heads)
    if blocks * bundles == 0:
        return
    split = work.WHOLE
    if call.documents is None and not program.cross:
        blocks_of_tile = -(-min(part.queries, program.tile.query) // ranks)
        per_tile = min(kernel.order.classes, part.queries) * blocks_of_tile * bundles
        split = _split(program, index, part.queries, call.query_offset, part.keys, per_tile, device.processors)
    run = _Run(program, "forward", index, chosen, part, pack)
    if split.shares > 1:
        tiles = blocks if split.hi == work.ALL else kernel.order.classes * (split.hi - split.lo)
        _launch_shared(run, arguments, split, min(blocks, tiles * (program.tile.query // ranks)), bundles)
    if split.hi < work.ALL:
        run(arguments, (blocks, bundles), split)


def launch_backward(program: Program, role: launch.Role, index: int, arguments: dict[str, Any], part: Part) -> None:
    """Kernel ``index`` of a chain of gradients, one program instance per block: no sum depends on which comes first."""
    q, k, call = arguments["q_ptr"], arguments["k_ptr"], part.call
    device, heads = machine(q.device), q.shape[1]
    chosen = launch.options(role, program.tile, q.shape[3], q.element_size(), device.shared)
    if role == "backward_key":
        heads = k.shape[1]
        blocks = launch.key_blocks(program.backward[index].order, chosen.block_k, part.keys)
    else:
        order = program.forward[index].order
        blocks = launch.query_blocks(order, chosen.block_q, part.queries, call.query_offset, _tokens(program, part))
    if blocks * part.sequences * heads:
        _Run(program, role, index, chosen, part, 1)(arguments, (blocks, part.sequences * heads), work.WHOLE)


def _tokens(program: Program, part: Part) -> int:
    """The length of the sequence that the queries are of."""
    return part.queries if program.cross else part.keys


@dataclass(frozen=True, slots=True)
class _Run:
    """A kernel with what is compiled into it."""

    program: Program
    role: launch.Role
    index: int
    chosen: launch.Options
    part: Part
    pack: int

    def __call__(
        self, arguments: dict[str, Any], grid: tuple[int, ...], split: work.Split, *, shared: bool = False
    ) -> None:
        q, call = arguments["q_ptr"], self.part.call
        getattr(kernels(self.program, self.role), f"{self.role}_{self.index}")[grid](
            **arguments,
            split_lo=split.lo,
            split_hi=split.hi,
            HEAD_DIM=q.shape[3],
            BLOCK_D=launch.block_dim(q.shape[3]),
            BLOCK_Q=self.chosen.block_q,
            BLOCK_K=self.chosen.block_k,
            PRECISION=machine(q.device).precision,
            PACKED=call.documents is not None,
            SOFTCAP=call.softcap or 0.0,
            PACK=self.pack,
            SPLIT=shared,
            num_warps=self.chosen.num_warps,
            num_stages=self.chosen.num_stages,
        )


def _launch_shared(run: _Run, arguments: dict[str, Any], split: work.Split, blocks: int, bundles: int) -> None:
    """The rows of ``split``, each by several instances that take a share of its keys, and then joined."""
    from .joining import join

    q, head_dim = arguments["q_ptr"], arguments["q_ptr"].shape[3]
    row = blocks * run.chosen.block_q
    shares = min(split.shares, max(1, _LARGEST_PARTS // (4 * bundles * row * head_dim)))
    shape = (bundles, shares, row)
    # A later kernel of a chain resumes: from nothing, since what the earlier ones left is joined at the end.
    out = q.new_zeros((*shape, head_dim), dtype=torch.float32)
    lse = q.new_full(shape, -torch.inf, dtype=torch.float32)
    strides = {"o_b": 0, "o_h": shares * row * head_dim, "o_n": head_dim, "o_d": 1}
    run({**arguments, **strides, "out_ptr": out, "lse_ptr": lse}, (blocks, bundles, shares), split, shared=True)
    order = run.program.forward[run.index].order
    passed = ("out_ptr", "lse_ptr", "spans_ptr", "owner_ptr", "o_b", "o_h", "o_n", "o_d", "heads", "group", "Nq", "Nk")
    join[(blocks, bundles)](
        part_ptr=out,
        part_lse_ptr=lse,
        **{name: arguments[name] for name in (*passed, "query_offset", "owner")},
        split_lo=split.lo,
        split_hi=split.hi,
        shares=shares,
        RESUME=run.index > 0,
        HEAD_DIM=head_dim,
        BLOCK_D=launch.block_dim(head_dim),
        BLOCK_Q=run.chosen.block_q,
        PACK=run.pack,
        PERIOD=order.period,
        COUNT=order.count,
        START=order.start,
        CLASSES=order.classes,
        TILE=run.program.tile.query,
        num_warps=4,
    )


def _split(program: Program, index: int, rows: int, offset: int, n: int, per_tile: int, processors: int) -> work.Split:
    first, last = work.window(program.forward[index].order, program.tile, rows, offset, n)
    return work.split(_work(Pinned(program), index, n)[first:last], first, per_tile, processors)


@lru_cache(maxsize=64)
def _work(pinned: Pinned, index: int, n: int) -> Any:
    return work.swept_tiles(pinned.program, index, n)
