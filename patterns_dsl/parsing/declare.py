"""From what the parser reads to declarations: imports, rules, patterns, plans and the module of a file."""

from __future__ import annotations

from dataclasses import replace
from inspect import cleandoc
from typing import Any

from .. import syntax
from ..diagnostics import codes
from ..diagnostics.source import Span
from .build import present
from .claim import ClaimBuilder


class DeclarationBuilder(ClaimBuilder):
    """The methods for the rules of the grammar above the level of claims."""

    # --- rules ---

    def parameters(self, span: Span, children: list[Any]) -> tuple[syntax.Parameter, ...]:
        return present(children)

    def parameter(self, span: Span, children: list[Any]) -> syntax.Parameter:
        return syntax.Parameter(*children, span=span)

    def type(self, span: Span, children: list[Any]) -> syntax.ParameterType:
        return syntax.ParameterType(str(children[0]))

    def direction(self, span: Span, children: list[Any]) -> syntax.Direction:
        return syntax.Direction(str(children[0]))

    def rule(self, span: Span, children: list[Any]) -> syntax.Rule:
        name, parameters, body = children
        return syntax.Rule(name, parameters or (), self.relation(body), span=span)

    # --- imports ---

    def import_(self, span: Span, children: list[Any]) -> syntax.Import:
        path, *names = children
        return syntax.Import(path[1:-1], tuple(names), span=span)

    def imported(self, span: Span, children: list[Any]) -> syntax.Imported:
        original, name = children
        return syntax.Imported(original, name or original, span=span)

    # --- patterns ---

    def axis(self, span: Span, children: list[Any]) -> syntax.Axis:
        return syntax.Axis(*children, span=span)

    def grid(self, span: Span, children: list[Any]) -> syntax.Grid:
        return syntax.Grid(tuple(children), span=span)

    def require(self, span: Span, children: list[Any]) -> syntax.Formula:
        formula: syntax.Formula = children[0]
        return formula

    def learn(self, span: Span, children: list[Any]) -> syntax.Learn:
        return syntax.Learn(*children, span=span)

    def step(self, span: Span, children: list[Any]) -> syntax.Step:
        return syntax.Step(children[0], self.relation(children[1]), span=span)

    def pattern(self, span: Span, children: list[Any]) -> syntax.Pattern:
        name, parameters, direction, grid, documentation, *body = children
        steps = tuple(part for part in body if isinstance(part, syntax.Step))
        if not steps:
            self.report(codes.EMPTY_DECLARATION, f"pattern `{name}` has no step", span, "write `step` and a relation")
        return syntax.Pattern(
            name,
            parameters or (),
            direction,
            requirements=tuple(part for part in body if isinstance(part, syntax.Formula)),
            steps=steps,
            claims=tuple(part for part in body if isinstance(part, syntax.Claim)),
            documentation=documentation and plain(documentation),
            grid=grid,
            learned=tuple(part for part in body if isinstance(part, syntax.Learn)),
            span=span,
        )

    # --- plans ---

    def plan(self, span: Span, children: list[Any]) -> syntax.Plan:
        name, documentation, *body = children
        assignments = tuple(part for part in body if isinstance(part, syntax.Assignment))
        claims = tuple(part for part in body if not isinstance(part, syntax.Assignment))
        if not assignments:
            help = "write `layers all : ` and a pattern"
            self.report(codes.EMPTY_DECLARATION, f"plan `{name}` says nothing about any layer", span, help)
        return syntax.Plan(name, assignments, documentation and plain(documentation), claims, span=span)

    def assignment(self, span: Span, children: list[Any]) -> syntax.Assignment:
        layers, heads, use, integration = children
        integration = syntax.Integration(integration or "merged")
        return syntax.Assignment(layers, heads, use, integration, span=span)

    def every(self, span: Span, children: list[Any]) -> None:
        return None

    def layers(self, span: Span, children: list[Any]) -> tuple[tuple[int, int], ...]:
        return tuple(children)

    def heads(self, span: Span, children: list[Any]) -> tuple[tuple[int, int], ...]:
        return tuple(children)

    def span(self, span: Span, children: list[Any]) -> tuple[int, int]:
        low, high = (None if digits is None else self.literal(digits, span) for digits in children)
        first = low or 0
        last = first if high is None else high
        if last < first:
            help, fix = f"write {last}..{first}", f"{last}..{first}"
            self.report(codes.INTERVAL, f"no number lies in {first}..{last}", span, help, fix=fix)
        elif last > LAST_LAYER:
            message = f"layers and heads are numbered up to {LAST_LAYER}, and this is {last}"
            self.report(codes.OUT_OF_RANGE, message, span, "`layers all` speaks of every layer, however many there are")
        return first, min(last, LAST_LAYER)

    def use(self, span: Span, children: list[Any]) -> syntax.Call:
        name, arguments = children
        return syntax.Call(name, arguments or (), span=span)

    def integration(self, span: Span, children: list[Any]) -> str:
        return str(children[0])

    # --- the whole text ---

    def argument_text(self, span: Span, children: list[Any]) -> syntax.Value:
        value: syntax.Value = children[0]
        return value

    def documentation(self, span: Span, children: list[Any]) -> Span:
        return span

    def stray(self, documentation: Span) -> None:
        help = "put it before a rule, pattern or plan, or write a comment with `#`"
        self.report(codes.STRAY_DOCUMENTATION, "this text documents nothing", documentation, help)

    def start(self, span: Span, children: list[Any]) -> syntax.Module:
        """A file's first docstring is the file's; a later one belongs to the declaration that follows it."""
        documentation: str | None = None
        declarations: list[Any] = []
        pending: Span | None = None
        for place, child in enumerate(children):
            if not isinstance(child, Span):
                if pending is not None and isinstance(child, syntax.Import):
                    self.stray(pending)
                    pending = None
                declarations.append(child if pending is None else replace(child, documentation=plain(pending.text)))
                pending = None
            elif place == 0:
                documentation = plain(child.text)
            else:
                if pending is not None:
                    self.stray(pending)
                pending = child
        if pending is not None:
            self.stray(pending)
        return syntax.Module(
            documentation,
            rules=tuple(each for each in declarations if isinstance(each, syntax.Rule)),
            patterns=tuple(each for each in declarations if isinstance(each, syntax.Pattern)),
            plans=tuple(each for each in declarations if isinstance(each, syntax.Plan)),
            imports=tuple(each for each in declarations if isinstance(each, syntax.Import)),
            span=Span(self.source, 0, len(self.source.text)),
        )


LAST_LAYER = 9999
"""More layers or heads than any model has: a larger number is a slip."""


def plain(documentation: str) -> str:
    """The text between the quotes, without common indentation."""
    return cleandoc(documentation[3:-3]).strip()
