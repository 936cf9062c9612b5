"""Modules, patterns and plans as users hold them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..library import catalogue
from ..patterns_dsl import syntax
from ..patterns_dsl.binding.bind import bind
from ..patterns_dsl.binding.link import Finder, ImportRefused, link
from ..patterns_dsl.binding.plans import bind_plan
from ..patterns_dsl.diagnostics.source import Source
from ..patterns_dsl.parsing.parse import parse
from ..patterns_dsl.parsing.read import read
from .step import Step

if TYPE_CHECKING:
    import torch

    from .bruteforce import Choice
    from .relations.relation import Relation

LIBRARY = "library:"


def load(reference: str | Path) -> Module:
    """The module in a ``.pat`` file, or a stock one: ``library:longformer``.

    Raises PatternError with every syntax error of the file and of those it imports, OSError where it cannot be read,
    and UnknownPattern for a stock pattern that does not exist.
    """
    text = str(reference)
    if text.startswith(LIBRARY):
        return Module(catalogue.source(text.removeprefix(LIBRARY)))
    return Module(read(Path(reference)))


def loads(text: str, name: str = "<string>") -> Module:
    """The module in a string; ``name`` is what its diagnostics call it. It can import stock files only."""
    return Module(Source(name, text))


def find_import(importer: Source, path: str, reader: Callable[[Path], Source] = read) -> Source:
    """The source of an import; ``reader`` reads a file, as ``read`` does, or takes its text from an editor.

    Raises ImportRefused, and PatternError for what is no text.
    """
    if path.startswith(LIBRARY):
        try:
            return catalogue.source(path.removeprefix(LIBRARY))
        except catalogue.UnknownPattern as error:
            raise ImportRefused(str(error), "`patternc library list` names them all") from None
    if importer.folder is None:
        message = f"{importer.name} lies in no folder, and can import stock files only"
        raise ImportRefused(message, 'write it to a file, or import `"library:NAME"`')
    file = importer.folder / path
    try:
        if ".." in file.parts:  # or files that import each other by way of `..` would get longer names at every turn
            file = Path(os.path.realpath(file))
        return reader(file)
    except (OSError, ValueError) as error:  # ValueError: no file can have this name
        message = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise ImportRefused(message, f"a path starts at the importing file's folder, {importer.folder}") from None


@lru_cache(maxsize=256)
def _stock(name: str) -> syntax.Module | None:
    return link(parse(catalogue.source(name)), find_import) if name in catalogue.names() else None


@dataclass(frozen=True)
class Module(Mapping[str, "Pattern"]):
    """A file of patterns and plans. ``module["name"]`` is a pattern; ``module.plans["name"]`` a plan."""

    source: Source
    find: Finder = field(default=find_import, repr=False, compare=False)
    """Where its imports are looked up."""
    tree: syntax.Module = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tree", link(parse(self.source), self.find))

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
        if name not in self.patterns:
            raise KeyError(f"{self.source.name} has no pattern {name!r}; it has {', '.join(self.patterns) or 'none'}")
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

    def bind(self, /, **arguments: object) -> Pattern:
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
        """The union of the steps, for every length. Raises OpenPattern where selections decide it."""
        return self.union.relation

    @property
    def depends_on_length(self) -> bool:
        """Whether a query's keys change when the sequence grows: such a pattern cannot decode with a cache. A seeded
        table draws among all blocks, but in a causal pattern, where it draws among those behind."""
        union = self.union
        if union.drawn and self.direction is not syntax.Direction.CAUSAL:
            return True
        return union.widest.depends_on_length

    @cached_property
    def farthest(self) -> int | None:
        """How far a query reads, ahead or behind, over every length; with a seeded table, how far it could. None where
        there is no farthest, or no pair."""
        return self.union.widest.farthest

    def mask(self, n: int, nk: int | None = None, *, choice: Choice | None = None) -> torch.Tensor:
        """torch.bool [n, nk]: True where the query (row) attends to the key (column). ``nk`` is for cross patterns;
        ``choice`` for patterns with selections: see ``Step.mask``."""
        return self.union.mask(n, nk, choice=choice)


@dataclass(frozen=True)
class Plan:
    """Which layers and heads run which pattern, and how the steps of a factorised one meet the model."""

    module: Module = field(repr=False)
    name: str

    @cached_property
    def bound(self) -> syntax.BoundPlan:
        """The plan with its patterns and claims in core form. Raises PatternError."""
        return bind_plan(self.module.tree, self.name, stock=_stock)

    @cached_property
    def assignments(self) -> tuple[tuple[syntax.Assignment, Pattern], ...]:
        """Raises PatternError for a pattern that neither the file nor the library has."""
        lines = self.bound.assignments
        return tuple((assignment, Pattern(self.module, tree.name, given=tree)) for assignment, tree in lines)
