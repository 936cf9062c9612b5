"""Chains of generated kernels: which are launched, one after the other, for a call on one part of its batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ...compiler.kernels import launch, work
from ...compiler.passes.program import Program
from .by_heads import ByHeads
from .kernel_run import KernelRun, Member
from .launching import Part, machine
from .sharing import launch_shared, split_of
from .tune import Tuning, worth_tuning

_How: TypeAlias = Callable[[KernelRun, dict[str, Any]], None]


def _launch_whole(run: KernelRun, arguments: dict[str, Any]) -> None:
    run(arguments)


@dataclass(frozen=True, slots=True)
class Chains:
    """The programs of a call, and how launches are tuned; None: not at all."""

    members: tuple[Member, ...]
    owners: Tensor | None  # int32 [Hq], on the device
    mixed: bool  # whether two programs share a key head
    part: Part
    tuning: Tuning | None

    @staticmethod
    def of(program: Program | ByHeads[Program], q: Tensor, k: Tensor, part: Part, tuning: Tuning | None) -> Chains:
        if not isinstance(program, ByHeads):
            return Chains((Member(program, None),), None, False, part, tuning)
        members = tuple(Member(one, at) for at, one in enumerate(program.programs))
        mixed = program.mixed(q.shape[1] // k.shape[1])
        return Chains(members, _owner_table(program.owners, q.device), mixed, part, tuning)

    def forward(self, arguments: dict[str, Any]) -> None:
        """Into (out, lse): of each kernel first the rows whose keys are shared out, then all others."""
        q, k = arguments["q_ptr"], arguments["k_ptr"]
        pack = 1 if self.mixed else launch.pack(self.part.queries, q.shape[1] // k.shape[1])
        for index, members in self._steps("forward"):
            runs = [self._run((member,), "forward", index, arguments, pack) for member in members]
            even = [split_of(run, arguments) == work.WHOLE for run in runs]
            for run, plain in zip(runs, even, strict=True):
                if not plain:
                    self._launch(run, arguments, _launch_uneven)
            alike = [member for member, plain in zip(members, even, strict=True) if plain]
            for some in self._together(alike, "forward", index, arguments, pack):
                self._launch(self._run(some, "forward", index, arguments, pack), arguments)

    def backward(self, arguments: dict[str, Any], gradients: dict[str, dict[str, Tensor]]) -> None:
        """Adds to the gradients, ``gradients`` by role. One program instance per block, and launches one after the
        other: no sum depends on which comes first, and the same call gives the same bits."""
        for index, members in self._steps("backward_query"):
            given = arguments | gradients["backward_query"]
            for some in self._together(members, "backward_query", index, given, 1):
                self._launch(self._run(some, "backward_query", index, given, 1), given)
        fresh = True
        for index, members in self._steps("backward_key"):
            given = arguments | gradients["backward_key"]
            apart = [(member,) for member in members]  # programs that share a key head add to its gradient in turn
            for some in apart if self.mixed else self._together(members, "backward_key", index, given, 1):
                add = not fresh if self.mixed else index > 0
                self._launch(self._run(some, "backward_key", index, given, 1, add=add), given)
                fresh = False

    def _launch(
        self,
        run: KernelRun,
        arguments: dict[str, Any],
        how: _How = _launch_whole,
    ) -> None:
        if self.tuning is not None and worth_tuning(run):
            run = replace(run, options=self.tuning.choose(run, arguments["q_ptr"], _Trial(run, arguments, how)))
        how(run, arguments)

    def _steps(self, role: launch.Role) -> Iterator[tuple[int, list[Member]]]:
        """(index, the members with a kernel of that index, of one form)."""
        index = 0
        while members := [member for member in self.members if member.kernel(role, index)]:
            for form in dict.fromkeys(member.form(role, index) for member in members):
                yield index, [member for member in members if member.form(role, index) == form]
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
    ) -> KernelRun:
        q, k = arguments["q_ptr"], arguments["k_ptr"]
        lanes = self.part.queries * pack if role == "forward" else None
        tile, shared = members[0].program.tile, machine(q.device).shared
        diagonals = members[0].is_diagonal(role, index)
        options = launch.options(role, tile, q.shape[3], q.element_size(), shared, lanes, diagonals=diagonals)
        bundles = self.part.sequences * (k.shape[1] if role == "backward_key" or pack > 1 else q.shape[1])
        return KernelRun(members, self.owners, role, index, options, pack, add, self.part, bundles, self.mixed)


@dataclass(frozen=True)
class _Trial:
    """A launch on copies of what it writes, which may be repeated."""

    run: KernelRun
    arguments: dict[str, Any]
    how: _How

    @cached_property
    def _copies(self) -> dict[str, Any]:
        return self.arguments | {name: self.arguments[name].clone() for name in _WRITTEN[self.run.role]}

    def __call__(self, options: launch.Options) -> None:
        self.how(replace(self.run, options=options), self._copies)


_WRITTEN: dict[launch.Role, tuple[str, ...]] = {
    "forward": ("out_ptr", "lse_ptr"),
    "backward_query": ("dq_ptr",),
    "backward_key": ("dk_ptr", "dv_ptr"),
}


def _launch_uneven(run: KernelRun, arguments: dict[str, Any]) -> None:
    split = split_of(run, arguments)
    if split.shares > 1:
        launch_shared(run, arguments, split)
    if split.hi < work.ALL:
        run(arguments, split)


@lru_cache(maxsize=64)
def _owner_table(owners: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.tensor(owners, dtype=torch.int32, device=device)
