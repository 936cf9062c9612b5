"""From the parser's concrete tree to declarations: rules, patterns, plans and the module of a file."""

from __future__ import annotations

from dataclasses import replace
from inspect import cleandoc
from typing import Any

from . import codes, syntax
from .build import Builder, present
from .source import Span


class DeclarationBuilder(Builder):
    """The methods for the rules of the grammar above the level of expressions."""

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

    # --- patterns ---

    def require(self, span: Span, children: list[Any]) -> syntax.Formula:
        formula: syntax.Formula = children[0]
        return formula

    def step(self, span: Span, children: list[Any]) -> syntax.Step:
        return syntax.Step(children[0], self.relation(children[1]), span=span)

    def claim(self, span: Span, children: list[Any]) -> syntax.Claim:
        (kind, parts), at = children
        match kind:
            case "nonempty":
                return syntax.Nonempty(at=at, span=span)
            case "causal":
                return syntax.Causal(at=at, span=span)
            case "reach" | "not_reach":
                return syntax.Reach(parts[0], kind == "not_reach", at=at, span=span)
            case "subset":
                return syntax.Subset(self.relation(parts[0]), self.relation(parts[1]), at=at, span=span)
            case _:
                return syntax.Equal(self.relation(parts[0]), self.relation(parts[1]), at=at, span=span)

    def nonempty(self, span: Span, children: list[Any]) -> tuple[str, list[Any]]:
        return "nonempty", children

    def causal(self, span: Span, children: list[Any]) -> tuple[str, list[Any]]:
        return "causal", children

    def reach(self, span: Span, children: list[Any]) -> tuple[str, list[Any]]:
        return "reach", children

    def not_reach(self, span: Span, children: list[Any]) -> tuple[str, list[Any]]:
        return "not_reach", children

    def subset(self, span: Span, children: list[Any]) -> tuple[str, list[Any]]:
        return "subset", children

    def equal(self, span: Span, children: list[Any]) -> tuple[str, list[Any]]:
        return "equal", children

    def within(self, span: Span, children: list[Any]) -> syntax.Term:
        steps: syntax.Term = children[0]
        return steps

    def at(self, span: Span, children: list[Any]) -> syntax.Term:
        name, length = children
        if name != "n":
            self.report(codes.SYNTAX, f"a stated length is written `at n = N`, not `at {name}`", span)
        term: syntax.Term = length
        return term

    def pattern(self, span: Span, children: list[Any]) -> syntax.Pattern:
        name, parameters, direction, documentation, *body = children
        steps = tuple(part for part in body if isinstance(part, syntax.Step))
        claims = tuple(part for part in body if isinstance(part, syntax.Claim))
        requirements = tuple(part for part in body if not isinstance(part, syntax.Step | syntax.Claim))
        if not steps:
            self.report(codes.EMPTY_DECLARATION, f"pattern `{name}` has no step", span, "write `step` and a relation")
        text = documentation and plain(documentation)
        return syntax.Pattern(name, parameters or (), direction, requirements, steps, claims, text, span=span)

    # --- plans ---

    def plan(self, span: Span, children: list[Any]) -> syntax.Plan:
        name, documentation, *assignments = children
        if not assignments:
            help = "write `layers all : ` and a pattern"
            self.report(codes.EMPTY_DECLARATION, f"plan `{name}` says nothing about any layer", span, help)
        return syntax.Plan(name, tuple(assignments), documentation and plain(documentation), span=span)

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
            self.report(codes.INTERVAL, f"no number lies in {first}..{last}", span, f"write {last}..{first}")
        return first, last

    def use(self, span: Span, children: list[Any]) -> syntax.Call:
        name, arguments = children
        return syntax.Call(name, arguments or (), span=span)

    def integration(self, span: Span, children: list[Any]) -> str:
        return str(children[0])

    # --- the whole text ---

    def argument_text(self, span: Span, children: list[Any]) -> syntax.Value:
        value: syntax.Value = children[0]
        return value

    def stray(self, documentation: Any) -> None:
        span = Span(self.source, documentation.start_pos, documentation.end_pos)
        help = "put it before a rule, pattern or plan, or write a comment with `#`"
        self.report(codes.STRAY_DOCUMENTATION, "this text documents nothing", span, help)

    def start(self, span: Span, children: list[Any]) -> syntax.Module:
        """A file's first docstring is the file's; a later one belongs to the declaration that follows it."""
        documentation: str | None = None
        declarations: list[Any] = []
        pending: Any = None
        for place, child in enumerate(children):
            if not isinstance(child, str):
                declarations.append(child if pending is None else replace(child, documentation=plain(pending)))
                pending = None
            elif place == 0:
                documentation = plain(child)
            else:
                if pending is not None:
                    self.stray(pending)
                pending = child
        if pending is not None:
            self.stray(pending)
        rules = tuple(declaration for declaration in declarations if isinstance(declaration, syntax.Rule))
        patterns = tuple(declaration for declaration in declarations if isinstance(declaration, syntax.Pattern))
        plans = tuple(declaration for declaration in declarations if isinstance(declaration, syntax.Plan))
        return syntax.Module(documentation, rules, patterns, plans, span=Span(self.source, 0, len(self.source.text)))


def plain(documentation: str) -> str:
    """The text between the quotes, without common indentation."""
    return cleandoc(documentation[3:-3]).strip()
