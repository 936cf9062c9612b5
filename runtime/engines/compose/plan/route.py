"""A route: one way to run a program at a length, and how long that is predicted to take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .....compiler.passes.program import NATURAL
from .diagonal import Diagonals
from .effort import Effort
from .periodic import Periodic
from .place import Side
from .stage import Batch, Stages


class Cut(NamedTuple):
    """The stages for a length, what they ask for, how many rows fresh batches write, and bytes of masks of its own."""

    stages: Stages
    effort: Effort
    written: int
    held: int


class Longer(Protocol):
    """What a plan tells of other lengths."""

    def cut(self, n: int) -> Cut | None:
        """For the first n tokens; None where it does not tell them."""

    def repeated(self, periodic: Periodic, n: int) -> Longer | None:
        """For n tokens, which are whole periods more; None where it does not come again."""


@dataclass(frozen=True, slots=True)
class Route:
    """Stages, and their predicted seconds. ``covers``: fresh batches write every row. ``alone``: one kernel call does
    all of it. ``python``: of these seconds, what does not shrink with the heads of a call. ``held``: bytes of masks
    that no other has."""

    name: str
    stages: Stages
    covers: bool
    alone: bool
    seconds: float
    python: float
    held: int
    single: Batch | None = None  # the one block that is all there is to do
    masks_of: Route | None = None  # whose masks these are parts of
    longer: Callable[[], Longer | None] | None = None  # ready for other lengths, where these can be told from it

    @property
    def masked(self) -> bool:
        batches = (batch for stage in self.stages if not isinstance(stage, Diagonals) for batch in stage.batches)
        return any(batch.bias is not None for batch in batches)


def single_block(stages: Stages, n: int) -> Batch | None:
    """The one block that is all there is to do for n queries, each of which has a key; None where there is more."""
    if len(stages) != 1 or isinstance(stages[0], Diagonals) or len(stages[0].batches) != 1:
        return None
    stage, batch = stages[0], stages[0].batches[0]
    in_place = all(isinstance(place, Side) and place.order == NATURAL for place in (stage.query, stage.key))
    living = batch.bias is None or batch.bias.dead is None
    return batch if in_place and living and (batch.block.tiles.count, batch.block.tiles.rows) == (1, n) else None
