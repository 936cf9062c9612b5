"""What parsing and binding make of a text. Fast: it is done at every change, before anything is proved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ...patterns_dsl import syntax
from ...patterns_dsl.binding.idle import idle_rules
from ...patterns_dsl.binding.link import Finder, link
from ...patterns_dsl.diagnostics.diagnostic import Diagnostic, Label, PatternError
from ...patterns_dsl.diagnostics.source import Source, Span
from ...patterns_dsl.parsing.parse import parse
from ...patterns_dsl.syntax import BoundPattern, BoundPlan
from ..pattern import LIBRARY, Module, Pattern, Plan, find_import
from .files import Reader


@dataclass(frozen=True)
class Reading:
    """``errors`` have their places in the text itself. ``bound`` are the patterns and plans without errors; ``files``
    the files that the text imports, or would if they were there."""

    source: Source
    errors: tuple[Diagnostic, ...]
    bound: tuple[BoundPattern | BoundPlan, ...]
    files: frozenset[Path]
    find: Finder


def read(source: Source, reader: Reader) -> Reading:
    """The reading of a text whose imports are read by ``reader``."""
    files: set[Path] = set()

    def noted(path: Path) -> Source:
        files.add(path)
        return reader(path)

    find = partial(find_import, reader=noted)
    bound: tuple[BoundPattern | BoundPlan, ...] = ()
    try:
        module = Module(source, find)
    except PatternError as error:
        errors = [*_placed(error.diagnostics, source, partial(_import, source, find))]
    else:
        errors, bound = _bound(module)
    unique = tuple(dict.fromkeys(errors))  # what is wrong in a rule, every pattern that calls it says
    return Reading(source, unique, bound, frozenset(files), partial(find_import, reader=reader))


def _bound(module: Module) -> tuple[list[Diagnostic], tuple[BoundPattern | BoundPlan, ...]]:
    errors: list[Diagnostic] = []
    bound: list[BoundPattern | BoundPlan] = []
    subjects: list[Pattern | Plan] = [*module.patterns.values(), *module.plans.values()]
    for subject in subjects:
        try:
            bound.append(subject.bound)
        except PatternError as error:
            errors += _placed(error.diagnostics, module.source, partial(_asked, module, subject))
    return [*errors, *idle_rules(module.tree)], tuple(bound)


# --- what is wrong in another file is shown at the place here that asks for it ---


def _placed(found: tuple[Diagnostic, ...], source: Source, ask: Callable[[Diagnostic], Span]) -> Iterator[Diagnostic]:
    for one in found:
        if one.span.source == source:
            yield one
            continue
        here = next((label.span for label in one.labels if label.span.source == source), None) or ask(one)
        there = Label(one.span, one.message)
        message = f"{one.span.source.name}: {one.message}"
        yield replace(one, message=message, span=here, labels=(there, *one.labels))


def _import(source: Source, find: Finder, wrong: Diagnostic) -> Span:
    """The import that brings a mistake in."""
    module = parse(source)  # it can be parsed, or the mistake would be here
    for each in module.imports:
        try:
            link(replace(module, imports=(each,)), find)
        except PatternError as error:
            if wrong in error.diagnostics:
                return each.span
    return module.span


def _asked(module: Module, subject: Pattern | Plan, wrong: Diagnostic) -> Span:
    """The line of a plan that asks for the pattern with the mistake, or else the name of the declaration."""
    trees: list[syntax.Pattern | syntax.Plan] = [*module.tree.patterns, *module.tree.plans]
    tree = next(one for one in trees if one.name == subject.name)
    calls = [line.pattern for line in tree.assignments] if isinstance(tree, syntax.Plan) else []
    for call in calls:
        if f"asked for by `{call.span.text}`" in wrong.notes:
            return call.span
    other = wrong.span.source
    near = {each.name for each in module.tree.links if each.module.span.source == other}
    for call in calls:
        if call.name in near or other.name == f"{LIBRARY}{call.name}":
            return call.span
    start = module.source.text.index(subject.name, tree.span.start)
    return Span(module.source, start, start + len(subject.name))
