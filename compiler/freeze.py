"""freeze: a learned pattern, its gates decided, as a plan of plain ones.

    gated R  ->  R                      where the gate is open
    gated R  ->  { (i, j) : 0 = 1 }     where it is closed; gone from a union

Each layer and each group of heads gets the pattern that is left for it. Claims are written on: what was proved with the
gates undecided holds however they are decided. What chooses from the input has no text of its own, and is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from ..patterns_dsl import syntax
from ..patterns_dsl.diagnostics.source import Source
from ..patterns_dsl.formatting.format import formatted
from ..patterns_dsl.formatting.pieces import Unspellable
from ..patterns_dsl.formatting.spell import spell
from ..patterns_dsl.syntax import BoundPattern, Expression
from .pattern import Pattern, Plan
from .relations.settle import GATE, opens

Decided = Mapping[str, tuple[bool, ...]]
"""For each gate whether it is open, head by head."""


class NotFrozen(ValueError):
    """What was learned depends on the input, or has no text: the message says what, and where."""


@dataclass(frozen=True, slots=True)
class FrozenLayer:
    """What a layer runs: the decided gates of its ``pattern``; without any, for all of its ``heads``."""

    pattern: BoundPattern
    heads: int
    gates: Decided


def freeze(subject: Pattern | Plan, layers: Mapping[int, FrozenLayer], count: int) -> str:
    """The text of a plan for the ``count`` layers of a model; ``layers``: those that learned. Raises NotFrozen."""
    names = _Names(subject)
    lines: dict[tuple[str, str], list[int]] = {}
    for index, layer in sorted(layers.items()):
        for heads, found in _variants(index, layer):
            lines.setdefault((_spans(heads, layer.heads, " heads "), names.of(found)), []).append(index)
    assignments = [
        f"layers {_spans(each, count, '') or 'all'}{heads} : {name}" for (heads, name), each in lines.items()
    ]
    claims: tuple[syntax.PlanClaim, ...] = ()
    if isinstance(subject, Plan):
        assignments += _others(subject, layers, count, names)
        claims = subject.bound.claims
    body = "\n".join([*assignments, *(spell(claim) for claim in claims)])
    try:
        patterns = "\n\n".join(spell(pattern) for pattern in names.patterns())
    except Unspellable as error:
        raise NotFrozen(f"{subject.name} has no plain text: {error}") from error
    heading = f'"""What {subject.name} learned, its gates decided."""'
    text = f"{heading}\n\n{patterns}\n\nplan {subject.name}_frozen {{\n{body}\n}}\n"
    return formatted(Source(f"{subject.name}_frozen.pat", text))


def _variants(index: int, layer: FrozenLayer) -> Iterable[tuple[tuple[int, ...], BoundPattern]]:
    """The groups of heads with the same gates open, and the pattern of each."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for head in range(layer.heads):
        groups.setdefault(tuple(name for name, is_open in layer.gates.items() if is_open[head]), []).append(head)
    for open_gates, heads in groups.items():
        yield tuple(heads), _decided(layer.pattern, frozenset(open_gates), f"layer {index}, heads {heads}")


def _decided(pattern: BoundPattern, open_gates: frozenset[str], where: str) -> BoundPattern:
    steps = tuple(_rewritten(step, open_gates) for step in pattern.steps)
    found = replace(pattern, steps=steps, claims=tuple(_rewritten(claim, open_gates) for claim in pattern.claims))
    left = [each.source for each in opens(found.union) if each.examples != GATE]
    if left:
        kinds = {selector.name: selector.kind for selector in pattern.selectors}
        what = ", ".join(f"`{name} = {kinds[name]}`" if name in kinds else f"`{name}`" for name in left)
        raise NotFrozen(
            f"{pattern.name} cannot be frozen: in {where} it reads what {what} chooses from the input, anew for each"
            " text; keep the attachment, or learn gates of positional terms alone"
        )
    return replace(found, selectors=())


def _rewritten(node: Any, open_gates: frozenset[str]) -> Any:
    """A step or a claim with its gates decided."""
    if isinstance(node, Expression):
        found = _relation(node, open_gates)
        return _nothing(node) if found is None else found
    if not is_dataclass(node) or isinstance(node, type):
        return tuple(_rewritten(each, open_gates) for each in node) if isinstance(node, tuple) else node
    changes = {
        each.name: _rewritten(getattr(node, each.name), open_gates) for each in fields(node) if each.name != "span"
    }
    return replace(node, **changes)


def _relation(node: Expression, open_gates: frozenset[str]) -> Expression | None:
    """None: no pair."""

    def go(each: Expression) -> Expression | None:
        return _relation(each, open_gates)

    match node:
        case syntax.Gated(operand, gate):
            return go(operand) if gate in open_gates else None
        case syntax.Union(left, right):
            one, other = go(left), go(right)
            if one is None or other is None:
                return other if one is None else one
            return syntax.Union(one, other, span=node.span)
        case syntax.Intersection(left, right) | syntax.Composition(left, right):
            one, other = go(left), go(right)
            return None if one is None or other is None else type(node)(one, other, span=node.span)
        case syntax.Difference(left, right):
            one, other = go(left), go(right)
            return one if one is None or other is None else syntax.Difference(one, other, span=node.span)
        case syntax.Complement(operand):
            inner = go(operand)
            return syntax.Complement(_nothing(node) if inner is None else inner, span=node.span)
        case _:
            return node


def _nothing(node: syntax.Node) -> Expression:
    """{ (i, j) : 0 = 1 }."""
    zero, one = (syntax.Integer(value, span=node.span) for value in (0, 1))
    return syntax.Pairs("i", "j", syntax.Comparison((zero, one), ("=",), span=node.span), span=node.span)


def _others(plan: Plan, layers: Mapping[int, FrozenLayer], count: int, names: _Names) -> Iterable[str]:
    """The lines of a plan for layers that learned nothing."""
    for assignment, pattern in plan.bound.assignments:
        mine = range(count) if assignment.layers is None else _members(assignment.layers)
        if left := [layer for layer in mine if layer not in layers]:
            heads = "" if assignment.heads is None else f" heads {_intervals(_members(assignment.heads))}"
            how = "" if assignment.integration is syntax.Integration.MERGED else f" {assignment.integration}"
            yield f"layers {_intervals(left)}{heads} : {names.of(pattern)}{how}"


class _Names:
    """A name for each pattern of the plan: its own, numbered where several came of one."""

    def __init__(self, subject: Pattern | Plan) -> None:
        self.subject = subject
        self.known: dict[BoundPattern, str] = {}

    def of(self, pattern: BoundPattern) -> str:
        if pattern not in self.known:
            number = sum(other.name == pattern.name for other in self.known)
            self.known[pattern] = f"{pattern.name}_{number}"
        return self.known[pattern]

    def patterns(self) -> Iterable[BoundPattern]:
        for pattern, name in self.known.items():
            yield replace(pattern, name=name)


def _members(intervals: Iterable[tuple[int, int]]) -> list[int]:
    return sorted({member for low, high in intervals for member in range(low, high + 1)})


def _spans(members: Iterable[int], count: int, before: str) -> str:
    """Empty where it is all of them."""
    found = list(members)
    return "" if len(found) == count else f"{before}{_intervals(found)}"


def _intervals(members: Iterable[int]) -> str:
    """0, 2..4."""
    runs: list[list[int]] = []
    for member in members:
        if runs and member == runs[-1][1] + 1:
            runs[-1][1] = member
        else:
            runs.append([member, member])
    return ", ".join(f"{low}" if low == high else f"{low}..{high}" for low, high in runs)
