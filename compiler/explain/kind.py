"""How the keys of a query are found (Lin et al. 2021, section 4.1; Xiao & Zhu 2025, chapter 2).

positional      from the positions alone: G_i = f(i)
learned-static  from what was learned, whatever the input: gates
content         from the input: G_i = f(X)
data            from what comes along with the input: where documents begin
hybrid          positional and content terms in one
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ...patterns_dsl import syntax
from ...patterns_dsl.syntax import BoundPattern, Expression
from ..relations.settle import opens


class Kind(StrEnum):
    POSITIONAL = "positional"
    LEARNED_STATIC = "learned-static"
    CONTENT = "content"
    DATA = "data"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a step's union, as the file has it. ``step`` is the step's name, or its number."""

    step: str
    text: str
    line: int
    kind: Kind
    body: Expression


def terms(pattern: BoundPattern) -> tuple[Term, ...]:
    """The terms of each step's union."""
    found = []
    for number, step in enumerate(pattern.steps):
        for body in _terms(step.body):
            text = " ".join(body.span.text.split())
            found.append(Term(step.name or str(number), text, body.span.line, kind(pattern, body), body))
    return tuple(found)


def _terms(expression: Expression) -> Iterator[Expression]:
    if isinstance(expression, syntax.Union):
        yield from _terms(expression.left)
        yield from _terms(expression.right)
    else:
        yield expression


def kind(pattern: BoundPattern, expression: Expression) -> Kind:
    """The kind of one term."""
    selections = {selector.name for selector in pattern.selectors}
    gates = set(_gates(expression))
    sources = {one.source for one in opens(expression)}
    if sources & selections:
        return Kind.CONTENT
    if sources & gates:
        return Kind.LEARNED_STATIC
    return Kind.DATA if sources else Kind.POSITIONAL


def _gates(expression: Expression) -> Iterator[str]:
    match expression:
        case syntax.Gated(operand, gate):
            yield gate
            yield from _gates(operand)
        case syntax.Union(left, right):
            yield from _gates(left)
            yield from _gates(right)
        case _:
            return  # a gated term stands alone or in a union


def together(kinds: Iterable[Kind]) -> Kind:
    """The kind of terms that share a softmax."""
    found: Collection[Kind] = set(kinds)
    for alone in (Kind.HYBRID, Kind.CONTENT):
        if alone in found:
            return alone if found == {alone} else Kind.HYBRID
    return next((one for one in (Kind.LEARNED_STATIC, Kind.DATA) if one in found), Kind.POSITIONAL)
