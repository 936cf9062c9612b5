"""One launch of a kernel, of one program or of several with heads of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ....compiler.kernels import grids, launch, work
from ....compiler.kernels.kernel_file import kernel, kernel_for_heads
from ....compiler.passes.pinned import Pinned
from ....compiler.passes.program import Kernel, Program, Tile
from .launching import Part, machine


@dataclass(frozen=True, slots=True)
class Member:
    """A program of a call, and who owns its heads; None: it has all of them."""

    program: Program
    owner: int | None

    def kernel(self, role: launch.Role, index: int) -> Kernel | None:
        """Kernel ``index`` of a role's chain, where it is that long."""
        chain = self.program.backward if role == "backward_key" else self.program.forward
        return chain[index] if index < len(chain) else None

    def form(self, role: launch.Role, index: int) -> tuple[Tile, bool]:
        """What kernels of one launch have in common: their blocks divide the tile, and hold what matrix units multiply,
        or (True) vector units."""
        return launch.form(self.program, role, index)


_WRITTEN: dict[launch.Role, tuple[str, ...]] = {
    "forward": ("out_ptr", "lse_ptr"),
    "backward_query": ("dq_ptr",),
    "backward_key": ("dk_ptr", "dv_ptr"),
}


@dataclass(frozen=True, slots=True)
class KernelRun:
    """A kernel, whose heads it serves, and what is compiled into it. ``delta``: it finds lse and delta of its rows.
    ``build``: calling it compiles, and launches nothing."""

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
    delta: bool = False
    build: bool = False

    @property
    def form(self) -> tuple[Tile, bool]:
        """That of every member."""
        return self.members[0].form(self.role, self.index)

    @property
    def block(self) -> int:
        """Rows of a stationary block."""
        return self.options.block_k if self.role == "backward_key" else self.options.block_q

    @property
    def ranks(self) -> int:
        """Ranks of a stationary block."""
        return self.block // self.pack

    @property
    def written(self) -> tuple[str, ...]:
        """The arguments that a launch writes to."""
        return _WRITTEN[self.role]

    @property
    def blocks(self) -> int:
        """Axis 0 of the grid."""
        part = self.part
        if self.role == "backward_key":
            orders = [member.program.backward[self.index].order for member in self.members]
            return max(grids.key_blocks(order, self.block, part.keys) for order in orders)
        orders = [member.program.forward[self.index].order for member in self.members]
        offset, n = part.call.query_offset, part.queries if self.members[0].program.cross else part.keys
        packed = part.call.documents is not None
        return max(grids.query_blocks(order, self.ranks, part.queries, offset, n, packed=packed) for order in orders)

    def alone(self, q: Tensor) -> bool:
        """Whether key gradients are of key heads that one query head each reads."""
        return self.role == "backward_key" and q.shape[1] * self.part.sequences == self.bundles

    @property
    def ownership(self) -> dict[str, Any]:
        """The arguments that say whose heads are meant."""
        return {"owner_ptr": self.owners, "owner": self.members[0].owner or 0}

    @property
    def listed(self) -> dict[str, Any]:
        """Blocks that a kernel takes beside those of its program, where it has a table; or that there are none."""
        if self.index > 0 or not self.members[0].program.table:
            return {}
        listed = self.part.call.listed
        return {"blocks_ptr": None, "starts_ptr": None} if listed is None else listed.arguments(self.role)

    @property
    def kernel(self) -> Any:
        # A kernel of keys by itself would store zeros for the key heads of other programs, where none is shared.
        alone = len(self.members) == 1 and (self.owners is None or self.role != "backward_key" or self.mixed)
        if alone:
            return kernel(self.members[0].program, self.role, self.index)
        parts = tuple((Pinned(member.program), member.owner or 0) for member in self.members)
        return kernel_for_heads(parts, self.role, self.index)

    def launch(self, q: Tensor, split: work.Split = work.WHOLE, *, grid: tuple[int, int, int] | None = None) -> Launch:
        """The launch for tensors like ``q``."""
        call, options = self.part.call, self.options
        turn = grids.turn(self.bundles, self.blocks, machine(q.device).processors) if grid is None else 1
        size = grid or (self.blocks * turn, self.bundles // turn, 1)
        constants = self.ownership | self.listed | {"split_lo": split.lo, "split_hi": split.hi, "turn": turn}
        constants |= {"HEAD_DIM": q.shape[3], "BLOCK_D": launch.block_dim(q.shape[3])}
        constants |= {"BLOCK_Q": options.block_q, "BLOCK_K": options.block_k, "PRECISION": machine(q.device).precision}
        constants |= {"PACKED": call.documents is not None, "SOFTCAP": call.softcap or 0.0, "PACK": self.pack}
        constants |= {"SPLIT": grid is not None, "ADD": self.add, "ALONE": self.alone(q)}
        return Launch(self.kernel, size, constants | options.settings, self.build)


@dataclass(slots=True)
class Launch:
    """A kernel on its grid, with those of its arguments that are the same in every call like the first.

    Whoever calls it again gives arguments that ``launching.specialised`` tells not from the first ones: it then starts
    the binary that the first call led to, and Triton's look at each argument, which takes longer than a short kernel,
    is saved. ``build``: calling it compiles, and launches nothing.
    """

    kernel: Any
    grid: tuple[int, int, int]
    constants: dict[str, Any]
    build: bool = False
    _binary: Any = field(default=None, repr=False, compare=False)

    def __call__(self, arguments: dict[str, Any]) -> None:
        if 0 in self.grid:
            return
        given = {**arguments, **self.constants}
        if self.build:
            self.kernel.warmup(grid=self.grid, **given)
        elif self._binary is None:
            self._binary = self.kernel[self.grid](**given)  # the interpreter has none
        else:
            self._binary[self.grid](*[given[name] for name in self.kernel.arg_names])
