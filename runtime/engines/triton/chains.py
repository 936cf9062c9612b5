"""Chains of generated kernels: which are launched, one after the other, for a call on one part of its batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ....compiler.kernels import launch, work
from ....compiler.passes.pinned import Pinned
from ....compiler.passes.program import Program
from ..by_heads import ByHeads
from ..integers import KERNEL, require_fit
from .kernel_run import KernelRun, Member
from .launching import Part, machine, row_arguments, specialised
from .sharing import alike, is_few, shared, split_of
from .tune import Tuning, worth_tuning

Launches: TypeAlias = tuple[Callable[[dict[str, Any]], None], ...]
"""What is done with the arguments of a call, one after the other."""

_KEPT: dict[tuple[object, ...], Launches] = {}
"""The launches of a forward pass over few rows, as in decoding: to find them takes longer than to attend."""

_MOST_KEPT = 256


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
        for one in program.programs if isinstance(program, ByHeads) else (program,):
            require_fit(one, max(part.queries, part.keys), KERNEL)
        if not isinstance(program, ByHeads):
            return Chains((Member(program, None),), None, False, part, tuning)
        # What lists they have is not of one launch.
        members = tuple(Member(_without_table(Pinned(one)), at) for at, one in enumerate(program.programs))
        mixed = program.mixed(q.shape[1] // k.shape[1])
        return Chains(members, _owner_table(program.owners, q.device), mixed, part, tuning)

    def forward(self, arguments: dict[str, Any]) -> None:
        """Into (out, lse)."""
        q, k = arguments["q_ptr"], arguments["k_ptr"]
        question = self._question(q, k, arguments) if is_few(self.part) else None
        if question in _KEPT:
            for one in _KEPT[question]:
                one(arguments)
            return
        pack = 1 if self.mixed else launch.pack(self.part.queries, q.shape[1] // k.shape[1])
        found: Launches = ()
        for index, members in self._steps("forward"):
            found += self._launch_all(self._runs(members, "forward", index, arguments, pack), arguments)
        if question is not None:
            if len(_KEPT) >= _MOST_KEPT:
                _KEPT.clear()
            _KEPT[question] = found

    def _question(self, q: Tensor, k: Tensor, arguments: dict[str, Any]) -> tuple[object, ...]:
        """All that the launches of a forward pass over few rows depend on."""
        part, call = self.part, self.part.call
        programs = tuple((Pinned(member.program), member.owner) for member in self.members)
        sizes = (part.sequences, part.queries, alike(part.keys), call.query_offset == 0, part.spans is None)
        kinds = specialised(x for x in arguments.values() if isinstance(x, Tensor))
        rest = (q.dtype, q.device, machine(q.device), call.softcap, call.listed, id(self.owners), self.mixed)
        return (programs, *sizes, *q.shape[1:], k.shape[1], *rest, self.tuning, kinds)

    def backward(
        self, arguments: dict[str, Any], gradients: dict[str, dict[str, Tensor]], found: dict[str, Tensor] | None
    ) -> None:
        """Into the gradients, ``gradients`` by role. ``found``: from what the first kernel finds lse and delta, which
        are read by all others; None: they are there. Launches one after the other, of which each stores a row of one
        sum, or adds to it: no sum depends on which instance comes first, and the same call gives the same bits."""
        for index, members in self._steps("backward_query"):
            given = arguments | gradients["backward_query"] | row_arguments(found if index == 0 else None)
            runs = self._runs(members, "backward_query", index, given, 1)
            finds_delta = index == 0 and found is not None
            self._launch_all([replace(run, add=index > 0, delta=finds_delta) for run in runs], given)
        fresh = True
        for index, members in self._steps("backward_key"):
            given = arguments | gradients["backward_key"]
            runs = self._runs(members, "backward_key", index, given, 1)
            if not self.mixed:
                self._launch_all([replace(run, add=index > 0) for run in runs], given)
                continue
            for run in runs:  # programs that share a key head add to its gradient in turn
                self._launch_all([replace(run, add=not fresh)], given)
                fresh = False

    def _launch_all(self, runs: list[KernelRun], arguments: dict[str, Any]) -> Launches:
        """Launches that depend on no other: first the tiles whose sweeps are shared out, then all others."""
        q = arguments["q_ptr"]
        found: Launches = ()
        even: list[KernelRun] = []
        for run in runs:
            if split_of(run, q) == work.WHOLE:
                even.append(run)
            else:
                found += self._launch(run, arguments)
        for run in _together(even, q):
            found += self._launch(run, arguments)
        return found

    def _launch(self, run: KernelRun, arguments: dict[str, Any]) -> Launches:
        if self.tuning is not None and worth_tuning(run):
            run = replace(run, options=self.tuning.choose(run, arguments["q_ptr"], _Trial(run, arguments)))
        found = _launches(run, arguments["q_ptr"])
        for one in found:
            one(arguments)
        return found

    def _steps(self, role: launch.Role) -> Iterator[tuple[int, list[Member]]]:
        """(index, the members with a kernel of that index, of one form)."""
        index = 0
        while members := [member for member in self.members if member.kernel(role, index)]:
            forms: dict[object, list[Member]] = {}
            for member in members:
                forms.setdefault(member.form(role, index), []).append(member)
            yield from ((index, alike) for alike in forms.values())
            index += 1

    def _runs(
        self, members: list[Member], role: launch.Role, index: int, arguments: dict[str, Any], pack: int
    ) -> list[KernelRun]:
        """A launch for each member, all of one form. Where a block does not hold ``pack`` heads, these are apart."""
        q, k = arguments["q_ptr"], arguments["k_ptr"]
        tile, vector = members[0].form(role, index)
        lanes = self.part.queries * pack if role == "forward" else None
        device, size = machine(q.device), q.element_size()
        # Branches of one kernel have shared memory of their own each: no limit of registers makes room for more of it.
        alone = members[0].program if len(members) == 1 else None
        registers = 0 if alone is None else launch.limitable(alone, role, index, device.registers)
        options = launch.options(role, tile, q.shape[3], size, device.shared, lanes, vector=vector, registers=registers)
        if options.block_q < pack:
            return self._runs(members, role, index, arguments, 1)
        bundles = self.part.sequences * (k.shape[1] if role == "backward_key" or pack > 1 else q.shape[1])
        rest = (options, pack, False, self.part, bundles, self.mixed)
        return [KernelRun((member,), self.owners, role, index, *rest) for member in members]


def _together(runs: list[KernelRun], q: Tensor) -> Iterator[KernelRun]:
    """As few launches as there can be, each of the programs of several, which are of one form."""
    if not runs:
        return
    first, room = runs[0], machine(q.device).shared
    size = launch.together(len(runs), first.role, first.options, q.shape[3], q.element_size(), room)
    for start in range(0, len(runs), size):
        yield replace(first, members=tuple(run.members[0] for run in runs[start : start + size]))


@dataclass(frozen=True)
class _Trial:
    """A launch on copies of what it writes, which may be repeated."""

    run: KernelRun
    arguments: dict[str, Any]

    @cached_property
    def _copies(self) -> dict[str, Any]:
        return self.arguments | {name: self.arguments[name].clone() for name in self.run.written}

    def __call__(self, options: launch.Options) -> None:
        for one in _launches(replace(self.run, options=options), self.arguments["q_ptr"]):
            one(self._copies)

    def build(self, options: launch.Options) -> None:
        for one in _launches(replace(self.run, options=options, build=True), self.arguments["q_ptr"]):
            one(self.arguments)


def _launches(run: KernelRun, q: Tensor) -> Launches:
    """Of a kernel: of the tiles that are shared out, and of the others."""
    split = split_of(run, q) if len(run.members) == 1 else work.WHOLE
    found: Launches = (shared(run, q, split),) if split != work.WHOLE else ()
    return found if split.hi == work.ALL else (*found, run.launch(q, split))


@lru_cache(maxsize=256)
def _without_table(pinned: Pinned[Program]) -> Program:
    """The same object at every call: what is kept of a program is kept by its identity."""
    return replace(pinned.program, table=0) if pinned.program.table else pinned.program


@lru_cache(maxsize=64)
def _owner_table(owners: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.tensor(owners, dtype=torch.int32, device=device)
