"""A program as the key of a cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

ProgramT = TypeVar("ProgramT")


@dataclass(frozen=True, slots=True, eq=False)
class Pinned(Generic[ProgramT]):
    """A program compared by identity: hashing its expressions costs more than a launch or a decoding step may.

    The cache keeps it alive, so that no other program can take its identity.
    """

    program: ProgramT

    def __hash__(self) -> int:
        return id(self.program)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pinned) and self.program is other.program
