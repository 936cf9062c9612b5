"""One attention step of a pattern, and what is known of it for every length."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ..patterns_dsl import syntax
from .relations.settle import Extent, Open, drawn, opens, settle

if TYPE_CHECKING:
    import torch

    from .bruteforce import Choice
    from .relations.relation import Relation


class OpenPattern(ValueError):
    """Something is asked of a pattern that depends on what its selections choose."""


@dataclass(frozen=True)
class Step:
    """One attention step: a relation, in core form and by its meaning."""

    name: str | None
    expression: syntax.Expression = field(repr=False)
    direction: syntax.Direction

    @cached_property
    def opens(self) -> tuple[Open, ...]:
        """What the text leaves to learned selections, gates and the data."""
        return opens(self.expression)

    @cached_property
    def drawn(self) -> bool:
        """Whether a seeded table has a part in it: the relation is then known at stated lengths only."""
        return drawn(self.expression)

    @cached_property
    def relation(self) -> Relation:
        """Raises OpenPattern where selections or seeded tables decide it: ``bound`` gives what is known."""
        if self.drawn and not self.opens:
            raise OpenPattern(f"what {self.name or 'the step'} attends to is decided by a seeded table")
        return self.widest

    @cached_property
    def widest(self) -> Relation:
        """The relation, with whatever a seeded table could draw. Raises OpenPattern where selections decide it."""
        if self.opens:
            sources = ", ".join(f"`{each.source}`" for each in self.opens)
            raise OpenPattern(f"what {self.name or 'the step'} attends to is decided by {sources}")
        return self.bound(Extent.MAY)

    def bound(self, extent: Extent) -> Relation:
        """The pairs that attend whatever is chosen (MUST), or under some choice (MAY), for every length."""
        # Who formats or lists patterns, or reads their programs from the disk, asks isl nothing.
        from .relations.denote import denote

        return denote(settle(self.expression, extent), self.direction)

    def mask(self, n: int, nk: int | None = None, *, choice: Choice | None = None) -> torch.Tensor:
        """torch.bool [n, nk], by brute force from the formula.

        Where selections decide it, ``choice`` says which mask: ``"must"`` the pairs that attend whatever is chosen,
        ``"may"`` those that could, or a mapping from each source to the number of one of its examples. Raises
        OpenPattern where it is needed and not given.
        """
        # Neither is needed by anything that only checks.
        import torch

        from . import bruteforce

        if choice is None and self.opens:
            sources = ", ".join(f"`{each.source}`" for each in self.opens)
            raise OpenPattern(f'{sources} decides this mask: ask for choice="must" or choice="may"')
        return torch.from_numpy(bruteforce.mask(self.expression, self.direction, n, nk, choice=choice or "may"))
