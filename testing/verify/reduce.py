"""reduce: the smallest text of a pattern for which a property still fails at the same example, or a shorter one.

Hypothesis shrinks the numbers of an example, the text is ours to shrink: a declaration, claim or step is left out, an
expression becomes one of its parts, a number becomes a smaller one, as long as the example fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from ...compiler.pattern import Module, Pattern
from ...compiler.selection import spelled
from ...patterns_dsl import syntax
from ...patterns_dsl.diagnostics.diagnostic import PatternError
from ...patterns_dsl.diagnostics.source import Source
from ...patterns_dsl.formatting.format import formatted
from ...patterns_dsl.syntax import Node
from ..text.terms import atom
from .property import Example, Property, Undecided, Violated
from .search import Failure, judge

MOST_TRIES = 300
"""Texts that are tried for one failure."""

MOST_LENGTHS = 16
"""Lengths that are tried for the text that is left."""


@dataclass(frozen=True, slots=True)
class Edit:
    """The characters ``start..end`` become ``text``."""

    start: int
    end: int
    text: str = ""

    def applied(self, to: str) -> str:
        return to[: self.start] + self.text + to[self.end :]


def reduced(prop: Property[Any], failure: Failure) -> Failure:
    """The same failure with a small text, and the example's pattern read from it."""
    best = _attempt(prop, failure.example, settled(failure.example))
    if best is None:  # it does not fail as a text of its own: its imports, or its settings, have a part in it
        return replace(failure, text=failure.example.subject.module.source.text)
    tries = 0
    while tries < MOST_TRIES:
        for edit in sorted(_edits(best.example), key=lambda edit: len(edit.text) - (edit.end - edit.start)):
            tries += 1
            text = edit.applied(best.text)
            found = _attempt(prop, best.example, text) if _size(text) < _size(best.text) else None
            if found is not None:
                best = found
                break
            if tries == MOST_TRIES:
                break
        else:
            break
    best = _shortened(prop, best)
    return replace(best, text=_tidied(best.text))


def _shortened(prop: Property[Any], failure: Failure) -> Failure:
    """The failure at the smallest of the first few lengths: a smaller text may fail at fewer tokens."""
    for n in range(1, min(failure.example.n, MOST_LENGTHS + 1)):
        try:
            example = failure.example.shortened(n)
        except ValueError:
            return failure
        if (found := _attempt(prop, example, failure.text)) is not None:
            return found
    return failure


def _attempt(prop: Property[Any], example: Example, text: str) -> Failure | None:
    """The failure of the example under another text; None where it does not fail or cannot be read."""
    source = example.subject.module.source
    try:
        module = Module(Source(source.name, text, source.folder))
        name = example.subject.name
        subject = module[name] if isinstance(example.subject, Pattern) else module.plans[name]
        _ = subject.bound
        changed = replace(example, subject=subject)
        judge(prop, changed)
    except Violated as error:
        return Failure(str(error), changed, text)
    except (PatternError, KeyError, IndexError, Undecided):
        return None
    return None


def settled(example: Example) -> str:
    """The text of the example's file in which the pattern's parameters have the example's values as defaults."""
    subject, text = example.subject, example.subject.module.source.text
    if not isinstance(subject, Pattern):
        return text
    tree = next((tree for tree in subject.module.tree.patterns if tree.name == subject.name), None)
    values = dict(subject.bound.arguments)
    for parameter in reversed(tree.parameters if tree else ()):
        header = f"{parameter.name}: {parameter.type} = {spelled(values[parameter.name])}"
        text = Edit(parameter.span.start, parameter.span.end, header).applied(text)
    return text


def _size(text: str) -> tuple[int, int]:
    """What shrinks: the letters, and then the numbers."""
    return len("".join(text.split())), sum(map(int, re.findall(r"\d+", text)))


def _tidied(text: str) -> str:
    """Laid out, without the blank lines that were left behind."""
    lines = formatted(Source("shrunk.pat", text)).splitlines()
    return "\n".join(line for line in lines if line) + "\n"


# --- what can be left out ---


def _edits(example: Example) -> Iterator[Edit]:
    tree, text = example.subject.module.tree, example.subject.module.source.text
    yield from (Edit(found.start(), found.end()) for found in re.finditer(r'"""(?:.|\n)*?"""|#[^\n]*', text))
    declarations = [*tree.imports, *tree.rules, *tree.patterns, *tree.plans]
    yield from (_gone(each) for each in declarations)
    for pattern in tree.patterns:
        yield from (_gone(each) for each in (*pattern.claims, *pattern.steps, *pattern.learned))
        yield from (_statement(text, "require", each) for each in pattern.requirements)
        yield from _list_items(text, pattern.parameters)
        yield from (_simpler(each.body) for each in pattern.steps)
    for plan in tree.plans:
        yield from (_gone(each) for each in (*plan.claims, *plan.assignments))
    for rule in tree.rules:
        yield from _list_items(text, rule.parameters)
    for declaration in (*tree.rules, *tree.patterns):
        yield from _smaller_parts(declaration)


def _gone(node: Node) -> Edit:
    return Edit(node.span.start, node.span.end)


def _simpler(node: Node) -> Edit:
    return Edit(node.span.start, node.span.end, "self")


def _statement(text: str, word: str, node: Node) -> Edit:
    """The statement that a word begins and the node ends."""
    return Edit(text.rindex(word, 0, node.span.start), node.span.end)


def _list_items(text: str, nodes: tuple[Node, ...]) -> Iterator[Edit]:
    """Each item with the comma that goes with it; a list of one goes with its parentheses."""
    for place, node in enumerate(nodes):
        start, end = node.span.start, node.span.end
        if len(nodes) == 1:
            yield Edit(text.rindex("(", 0, start), text.index(")", end) + 1)
        elif place:
            yield Edit(text.rindex(",", 0, start), end)
        else:
            yield Edit(start, text.index(",", end) + 1)


def _smaller_parts(node: Any) -> Iterator[Edit]:
    """Each expression, formula or term as one of its parts; each number as smaller ones."""
    if isinstance(node, tuple):
        for each in node:
            yield from _smaller_parts(each)
    if not isinstance(node, Node):
        return
    span = node.span
    if isinstance(node, syntax.Integer):
        yield from (Edit(span.start, span.end, str(value)) for value in (0, 1, node.value // 2, node.value - 1))
    parts = [getattr(node, field.name) for field in fields(node) if field.name != "span"]
    if isinstance(node, syntax.Expression | syntax.Formula | syntax.Term):
        for part in _nodes(parts):
            if span.start <= part.span.start and part.span.end <= span.end:
                yield Edit(span.start, span.end, atom(part.span.text))
                yield Edit(span.start, span.end, part.span.text)
    yield from _smaller_parts(tuple(parts))


def _nodes(parts: list[Any]) -> Iterator[Node]:
    for part in parts:
        if isinstance(part, syntax.Argument):
            part = part.value
        if isinstance(part, Node):
            yield part
        elif isinstance(part, tuple):
            yield from _nodes(list(part))
