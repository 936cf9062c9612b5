"""Modules, patterns and plans as users hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..library import catalogue
from ..patterns_dsl import syntax
from ..patterns_dsl.bind import bind, bind_plan
from ..patterns_dsl.parse import parse
from ..patterns_dsl.source import Source
from .relations.denote import denote
from .relations.relation import Relation

if TYPE_CHECKING:
    import torch

LIBRARY = "library:"


def load(reference: str | Path) -> Module:
    """The module in a ``.pat`` file, or a stock one: ``library:longformer``.

    Raises PatternError with every syntax error of the file, OSError where it cannot be read, UnicodeDecodeError
    where it is not UTF-8, and UnknownPattern for a stock pattern that does not exist.
    """
    text = str(reference)
    if text.startswith(LIBRARY):
        return Module(catalogue.source(text.removeprefix(LIBRARY)))
    try:
        return Module(Source(text, Path(reference).read_text(encoding="utf-8-sig")))
    except UnicodeDecodeError as error:
        error.reason = f"{error.reason}; {text} is not UTF-8: save it as such"
        raise


def loads(text: str, name: str = "<string>") -> Module:
    """The module in a string; ``name`` is what its diagnostics call it."""
    return Module(Source(name, text))


@lru_cache(maxsize=256)
def _stock(name: str) -> syntax.Module | None:
    return parse(catalogue.source(name)) if name in catalogue.names() else None


@dataclass(frozen=True)
class Module(Mapping[str, "Pattern"]):
    """A file of patterns and plans. ``module["name"]`` is a pattern; ``module.plans["name"]`` a plan."""

    source: Source
    tree: syntax.Module = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", parse(self.source))

    @cached_property
    def patterns(self) -> Mapping[str, Pattern]:
        return {pattern.name: Pattern(self, pattern.name) for pattern in self.tree.patterns}

    @cached_property
    def plans(self) -> Mapping[str, Plan]:
        return {plan.name: Plan(self, plan.name) for plan in self.tree.plans}

    @property
    def documentation(self) -> str | None:
        return self.tree.documentation

    def __getitem__(self, name: str) -> Pattern:
        return self.patterns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.patterns)

    def __len__(self) -> int:
        return len(self.patterns)


@dataclass(frozen=True)
class Pattern:
    """A pattern with values for some of its parameters; the others have their defaults."""

    module: Module = field(repr=False)
    name: str
    settings: tuple[tuple[str, object], ...] = ()
    given: syntax.BoundPattern | None = field(default=None, repr=False)

    def bind(self, **arguments: object) -> Pattern:
        """The pattern with other parameter values: ints, ratios in [0, 1], sets as text (``g="{0, 5..9}"``).

        Raises PatternError for an unknown parameter, a value of the wrong type, or one that ``require`` forbids.
        """
        bound = Pattern(self.module, self.name, tuple({**dict(self.settings), **arguments}.items()))
        _ = bound.bound  # an argument that cannot be bound is reported here, not at first use
        return bound

    @cached_property
    def bound(self) -> syntax.BoundPattern:
        """The tree in core form. Raises PatternError."""
        if self.given is not None:
            return self.given
        return bind(self.module.tree, self.name, dict(self.settings), stock=_stock)  # type: ignore[arg-type]

    @property
    def direction(self) -> syntax.Direction:
        return self.bound.direction

    @property
    def arguments(self) -> Mapping[str, syntax.Bound]:
        return dict(self.bound.arguments)

    @property
    def documentation(self) -> str | None:
        return self.bound.documentation

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps that the pattern is factorised into, in order."""
        return tuple(Step(step.name, step.body, self.direction) for step in self.bound.steps)

    @cached_property
    def union(self) -> Step:
        """All steps at once: what a merged head attends to."""
        return Step(self.name, self.bound.union, self.direction)

    @property
    def relation(self) -> Relation:
        """The union of the steps, for every length."""
        return self.union.relation

    @property
    def depends_on_length(self) -> bool:
        """Whether a query's keys change when the sequence grows: such a pattern cannot decode with a cache."""
        return self.relation.depends_on_length

    def mask(self, n: int, nk: int | None = None) -> torch.Tensor:
        """torch.bool [n, nk]: True where the query (row) attends to the key (column). ``nk`` is for cross patterns."""
        return self.union.mask(n, nk)


@dataclass(frozen=True)
class Step:
    """One attention step: a relation, in core form and by its meaning."""

    name: str | None
    expression: syntax.Expression = field(repr=False)
    direction: syntax.Direction

    @cached_property
    def relation(self) -> Relation:
        return denote(self.expression, self.direction)

    def mask(self, n: int, nk: int | None = None) -> torch.Tensor:
        """torch.bool [n, nk], by brute force from the formula."""
        # Neither is needed by anything that only checks.
        import torch

        from . import bruteforce

        return torch.from_numpy(bruteforce.mask(self.expression, self.direction, n, nk))


@dataclass(frozen=True)
class Plan:
    """Which layers and heads run which pattern, and how the steps of a factorised one meet the model."""

    module: Module = field(repr=False)
    name: str

    @cached_property
    def assignments(self) -> tuple[tuple[syntax.Assignment, Pattern], ...]:
        """Raises PatternError for a pattern that neither the file nor the library has."""
        bound = bind_plan(self.module.tree, self.name, stock=_stock)
        return tuple((assignment, Pattern(self.module, tree.name, given=tree)) for assignment, tree in bound)
