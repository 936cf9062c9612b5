"""Chains of generated kernels: which are launched, over which grid, in which blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...compiler.kernels import launch, work
from ...compiler.kernels.kernel_file import kernel_for_heads, kernels
from ...compiler.passes.pinned import Pinned
from ...compiler.passes.program import Kernel, Program
from .by_heads import ByHeads
from .launching import Part, machine

_LARGEST_PARTS = 256 << 20
"""Bytes of a buffer for the parts of shared-out rows."""


@dataclass(frozen=True, slots=True)
class Member:
    """A program of a call, and who owns its heads; None: it has all of them."""

    program: Program
    owner: int | None

    def kernel(self, role: launch.Role, index: int) -> Kernel | None:
        """Kernel ``index`` of a role's chain, where it is that long."""
        chain = self.program.backward if role == "backward_key" else self.program.forward
        return chain[index] if index < len(chain) else None


@dataclass(frozen=True, slots=True)
class Chains:
    """The programs of a call on one part of its batch."""

    members: tuple[Member, ...]
    owners: Tensor | None  # int32 [Hq], on the device
    mixed: bool  # whether two programs share a key head
    part: Part

    @staticmethod
    def of(program: Program | ByHeads[Program], q: Tensor, k: Tensor, part: Part) -> Chains:
        if not isinstance(program, ByHeads):
            return Chains((Member(program, None),), None, False, part)
        members = tuple(Member(one, at) for at, one in enumerate(program.programs))
        mixed = program.mixed(q.shape[1] // k.shape[1])
        return Chains(members, _owner_table(program.owners, q.device), mixed, part)

    def forward(self, arguments: dict[str, Any]) -> None:
        """Into (out, lse): of each kernel first the rows whose keys are shared out, then all others."""
        q, k = arguments["q_ptr"], arguments["k_ptr"]
        group = q.shape[1] // k.shape[1]
        pack = 1 if self.mixed else launch.pack(self.part.queries, group)
        for index, members in self._steps("forward"):
            alike: list[Member] = []
            for member in members:
                run = self._run((member,), "forward", index, arguments, pack)
                split = self._split(run, member, arguments)
                if split.shares > 1:
                    self._launch_shared(run, arguments, split)
                if split == work.WHOLE:
                    alike.append(member)
                elif split.hi < work.ALL:
                    run(arguments, split)
            for some in self._together(alike, "forward", index, arguments, pack):
                self._run(some, "forward", index, arguments, pack)(arguments, work.WHOLE)

    def backward(self, arguments: dict[str, Any], gradients: dict[str, dict[str, Tensor]]) -> None:
        """Adds to the gradients, ``gradients`` by role. One program instance per block, and launches one after the
        other: no sum depends on which comes first, and the same call gives the same bits."""
        for index, members in self._steps("backward_query"):
            given = arguments | gradients["backward_query"]
            for some in self._together(members, "backward_query", index, given, 1):
                self._run(some, "backward_query", index, given, 1)(given, work.WHOLE)
        fresh = True
        for index, members in self._steps("backward_key"):
            given = arguments | gradients["backward_key"]
            if self.mixed:
                for member in members:
                    self._run((member,), "backward_key", index, given, 1, add=not fresh)(given, work.WHOLE)
                    fresh = False
                continue
            for some in self._together(members, "backward_key", index, given, 1):
                self._run(some, "backward_key", index, given, 1, add=index > 0)(given, work.WHOLE)

    def _steps(self, role: launch.Role) -> Iterator[tuple[int, list[Member]]]:
        """(index, the members with a kernel of that index)."""
        index = 0
        while members := [member for member in self.members if member.kernel(role, index)]:
            yield index, members
            index += 1

    def _together(
        self, members: list[Member], role: launch.Role, index: int, arguments: dict[str, Any], pack: int
    ) -> Iterator[tuple[Member, ...]]:
        """The members in groups, each of which is one launch."""
        if not members:
            return
        run = self._run((members[0],), role, index, arguments, pack)
        q = arguments["q_ptr"]
        size = launch.together(len(members), role, run.options, q.shape[3], q.element_size(), machine(q.device).shared)
        for start in range(0, len(members), size):
            yield tuple(members[start : start + size])

    def _run(
        self,
        members: tuple[Member, ...],
        role: launch.Role,
        index: int,
        arguments: dict[str, Any],
        pack: int,
        *,
        add: bool = False,
    ) -> _Run:
        q, k = arguments["q_ptr"], arguments["k_ptr"]
        lanes = self.part.queries * pack if role == "forward" else None
        tile, shared = members[0].program.tile, machine(q.device).shared
        options = launch.options(role, tile, q.shape[3], q.element_size(), shared, lanes)
        bundles = self.part.sequences * (k.shape[1] if role == "backward_key" or pack > 1 else q.shape[1])
        return _Run(members, self.owners, role, index, options, pack, add, self.part, bundles, self.mixed)

    def _split(self, run: _Run, member: Member, arguments: dict[str, Any]) -> work.Split:
        part, call = self.part, self.part.call
        kernel, tile = member.program.forward[run.index], member.program.tile
        if call.documents is not None or run.blocks * run.bundles == 0:
            return work.WHOLE
        offset, n = (0, part.queries) if member.program.cross else (call.query_offset, part.keys)
        blocks_of_tile = -(-min(part.queries, tile.query) // run.ranks)
        per_tile = min(kernel.order.classes, part.queries) * blocks_of_tile * run.bundles
        first, last = work.window(kernel.order, tile, part.queries, offset, n)
        swept = _work(Pinned(member.program), run.index, n, part.keys)[first:last]
        return work.split(swept, first, per_tile, machine(arguments["q_ptr"].device).processors)

    def _launch_shared(self, run: _Run, arguments: dict[str, Any], split: work.Split) -> None:
        """The rows of ``split``, each by several instances that take a share of its keys, and then joined."""
        from .joining import join

        q, head_dim = arguments["q_ptr"], arguments["q_ptr"].shape[3]
        [member] = run.members
        order, tile, blocks = member.program.forward[run.index].order, member.program.tile.query, run.blocks
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


@dataclass(frozen=True, slots=True)
class _Run:
    """One launch: a kernel, of one program or of several with heads of their own, and what is compiled into it."""

    members: tuple[Member, ...]
    owners: Tensor | None
    role: launch.Role
    index: int
    options: launch.Options
    pack: int
    add: bool
    part: Part
    bundles: int
    mixed: bool

    @property
    def ranks(self) -> int:
        """Ranks of a query block."""
        return self.options.block_q // self.pack

    @property
    def blocks(self) -> int:
        """Axis 0 of the grid."""
        part = self.part
        if self.role == "backward_key":
            orders = [member.program.backward[self.index].order for member in self.members]
            return max(launch.key_blocks(order, self.options.block_k, part.keys) for order in orders)
        orders = [member.program.forward[self.index].order for member in self.members]
        offset, n = part.call.query_offset, part.queries if self.members[0].program.cross else part.keys
        return max(launch.query_blocks(order, self.ranks, part.queries, offset, n) for order in orders)

    @property
    def ownership(self) -> dict[str, Any]:
        """The arguments that say whose heads are meant."""
        return {"owner_ptr": self.owners, "owner": self.members[0].owner or 0}

    @property
    def kernel(self) -> Any:
        # A kernel of keys by itself would store zeros for the key heads of other programs, where none is shared.
        alone = len(self.members) == 1 and (self.owners is None or self.role != "backward_key" or self.mixed)
        if alone:
            return getattr(kernels(self.members[0].program, self.role), f"{self.role}_{self.index}")
        parts = tuple((Pinned(member.program), member.owner or 0) for member in self.members)
        return kernel_for_heads(parts, self.role, self.index)

    def __call__(
        self, arguments: dict[str, Any], split: work.Split, *, grid: tuple[int, int, int] | None = None
    ) -> None:
        q, call = arguments["q_ptr"], self.part.call
        size = grid or (self.blocks, self.bundles, 1)
        if 0 in size:
            return
        self.kernel[size](
            **(arguments | self.ownership),
            split_lo=split.lo,
            split_hi=split.hi,
            HEAD_DIM=q.shape[3],
            BLOCK_D=launch.block_dim(q.shape[3]),
            BLOCK_Q=self.options.block_q,
            BLOCK_K=self.options.block_k,
            PRECISION=machine(q.device).precision,
            PACKED=call.documents is not None,
            SOFTCAP=call.softcap or 0.0,
            PACK=self.pack,
            SPLIT=grid is not None,
            ADD=self.add,
            num_warps=self.options.num_warps,
            num_stages=self.options.num_stages,
        )


@lru_cache(maxsize=64)
def _work(pinned: Pinned, index: int, n: int, nk: int) -> Any:
    return work.swept_tiles(pinned.program, index, n, nk)


@lru_cache(maxsize=64)
def _owner_table(owners: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.tensor(owners, dtype=torch.int32, device=device)
