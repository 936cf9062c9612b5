"""What may be said at a place of a generated file: the names in scope there, and what the direction allows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ...patterns_dsl.syntax import Direction, ParameterType


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that a generated rule or pattern declares. A ``free`` number may be anything, ``n - 1`` too; the
    others are known and at least 1, so that they can divide."""

    name: str
    type: ParameterType
    free: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """How a generated rule is called. ``alone``: its keys are summaries or gated, and it stands in unions only."""

    name: str
    parameters: tuple[Parameter, ...]
    relation: bool
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The names in scope. ``positions`` hold any number, ``numbers`` a known one of at least 1.

    ``quantifiers`` bounds how deep ``exists`` nests: brute force goes through all positions for each. ``learned``:
    what is decided at run time may occur (selections, gates, documents); ``tables``: seeded tables; ``summaries``:
    pooled terms; ``measured``: the lengths are known.
    """

    direction: Direction = Direction.CAUSAL
    positions: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    ratios: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    relations: tuple[str, ...] = ()
    selections: tuple[str, ...] = ()
    refinements: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()
    rules: tuple[Signature, ...] = ()
    quantifiers: int = 2
    learned: bool = False
    tables: bool = True
    summaries: bool = True
    measured: bool = True

    @property
    def lengths(self) -> tuple[str, ...]:
        if not self.measured:
            return ()
        return ("nq", "nk") if self.direction is Direction.CROSS else ("n",)

    @property
    def hops(self) -> bool:
        """Whether keys are queries too, as they are not between the two sequences of a cross pattern."""
        return self.direction is not Direction.CROSS

    def within(self, *positions: str) -> Vocabulary:
        """Inside a binder of these variables, which hide what else has their names."""

        def outer(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name for name in names if name not in positions)

        return replace(
            self,
            positions=(*positions, *outer(self.positions)),
            numbers=outer(self.numbers),
            ratios=outer(self.ratios),
            sets=outer(self.sets),
            relations=outer(self.relations),
        )

    def having(self, *parameters: Parameter) -> Vocabulary:
        """With parameters in scope."""
        new = self
        for each in parameters:
            match each.type:
                case ParameterType.INT if each.free:
                    new = replace(new, positions=(*new.positions, each.name))
                case ParameterType.INT:
                    new = replace(new, numbers=(*new.numbers, each.name))
                case ParameterType.RATIO:
                    new = replace(new, ratios=(*new.ratios, each.name))
                case ParameterType.SET:
                    new = replace(new, sets=(*new.sets, each.name))
                case ParameterType.RELATION:
                    new = replace(new, relations=(*new.relations, each.name))
        return new


def vocabulary(direction: Direction | str, **changes: Any) -> Vocabulary:
    """The vocabulary outside every binder of a file of this direction, without parameters and rules; ``within`` and
    ``having`` give it more names."""
    return replace(Vocabulary(Direction(direction)), **changes)


CLOSED = Vocabulary()
"""Outside every binder, in a causal file without parameters and rules."""

PAIR = CLOSED.within("i", "j")
"""Inside ``{ (i, j) : ... }``."""
