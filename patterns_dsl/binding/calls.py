"""Calls of rules, and the arguments they pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, assert_never

from ..builtin.natives import NATIVES
from ..diagnostics import codes
from ..diagnostics.diagnostic import Label
from ..diagnostics.source import Span
from ..parsing.kinds import as_expression, as_term
from ..syntax import Argument, Call, Choices, Node, Parameter, ParameterType, Ratio, Rule, Value
from .scope import Closure, Frame, Meaning, Scope
from .terms import Terms

A_TYPE = {
    ParameterType.INT: "a number",
    ParameterType.RATIO: "a ratio such as `10%`",
    ParameterType.SET: "a set",
    ParameterType.RELATION: "a relation",
}

ELSEWHERE = {
    "window": "a sliding window is `local(w)`",
    "sliding_window": "a sliding window is `local(w)`",
    "sink": "attention sinks are `columns(first(k))`",
    "dilated": "a window with gaps is `dilate(local(w), d)`",
    "full": "every pair is `everything`",
    "dense": "every pair is `everything`",
}
"""What other systems call a relation that has another name here."""


class Calls(Terms):
    """The part of an expansion that finds what a call means."""

    def enter(self, call: Call, scope: Scope) -> tuple[Frame, Scope] | None:
        """The body that a call stands for and the scope to expand it in; None, and a report, when there is none."""
        name, span = call.name, call.span
        if name in scope.steps and not call.arguments:
            step = scope.steps[name]
            return Frame(call, step.body), step.scope
        found = scope.rule(name)
        if found is None:
            self.unknown_relation(call, scope)
            return None
        rule, inner = found
        # Meeting a rule inside itself may be fine: a set that is passed to it can call it too.
        if any(frame.body is rule.body for frame in self.findings.frames) and recursive(rule, inner):
            message, labels = (
                f"rule `{rule.name}` is defined through itself",
                (Label(span, "here it comes back to itself"),),
            )
            help = "a rule may call only rules that end without it"
            self.findings.report(codes.RECURSION, message, rule.span, help, labels=labels)
            return None
        values = self.passed(f"`{name}`", rule.parameters, call.arguments, scope, inner, span)
        return None if values is None else (Frame(call, rule.body, values), inner.having(**values))

    def unknown_relation(self, call: Call, scope: Scope) -> None:
        name = call.name
        if name in scope.values:
            message = f"`{name}` is a number, and a relation or a set is expected here"
            self.findings.report(codes.KIND, message, call.span, f"`{{{name}}}` is the set with this one position")
        elif any(pattern.name == name for module in scope.modules for pattern in module.patterns):
            message = f"`{name}` is a pattern, and patterns are used by plans only"
            shared = "move what they share into a `rule`, which patterns can call"
            self.findings.report(codes.UNKNOWN_NAME, message, call.span, shared)
        else:
            help = (ELSEWHERE[name],) if name in ELSEWHERE else ()
            known = scope.relation_names | set(NATIVES)
            self.findings.unknown(
                codes.UNKNOWN_NAME, f"unknown relation or set `{name}`", name, known, call.span, *help
            )

    def passed(
        self,
        callee: str,
        parameters: Sequence[Parameter],
        arguments: Sequence[Argument],
        scope: Scope,
        inner: Scope,
        span: Span,
    ) -> dict[str, Meaning] | None:
        """The value of every parameter. Arguments are read in ``scope``, defaults in ``inner``, with the parameters
        before them. None, and reports, when they do not fit together."""
        reports = len(self.findings.diagnostics)
        given = self.matched(callee, parameters, arguments, span)
        values: dict[str, Meaning] = {}
        for parameter in parameters:
            if parameter.name in given:
                value = self.value(parameter, given[parameter.name], scope)
            elif parameter.default is not None:
                value = self.value(parameter, parameter.default, inner.having(**values))
            elif len(self.findings.diagnostics) > reports:
                continue  # an argument that found no parameter may have been meant for this one
            else:
                kinds = ", ".join(f"{each.name}: {each.type}" for each in parameters)
                message = f"{callee} is not told its parameter `{parameter.name}`"
                self.findings.report(codes.ARGUMENT_COUNT, message, span, f"it takes ({kinds})")
                continue
            if value is not None:
                values[parameter.name] = value
        return values if len(values) == len(parameters) and len(self.findings.diagnostics) == reports else None

    def matched(
        self, callee: str, parameters: Sequence[Parameter], arguments: Sequence[Argument], span: Span
    ) -> dict[str, Value]:
        """Arguments by the name of their parameter: first those by place, then those by name."""
        names = [parameter.name for parameter in parameters]
        given: dict[str, Value] = {}
        for place, argument in enumerate(arguments):
            name = argument.name
            if name is None and place >= len(names):
                takes = f"takes {len(names)} argument{'s' * (len(names) != 1)}" if names else "takes no arguments"
                message = f"{callee} {takes}, {len(arguments)} given"
                self.findings.report(codes.ARGUMENT_COUNT, message, argument.span)
                break
            if name is None:
                name = names[place]
            elif name not in names:
                message = f"{callee} has no parameter `{name}`"
                self.findings.unknown(codes.UNKNOWN_ARGUMENT, message, name, names, argument.span)
                continue
            if name in given:
                self.findings.report(codes.UNKNOWN_ARGUMENT, f"`{name}` is given twice", argument.span)
            if isinstance(argument.value, Choices):
                message = f"`{argument.value.span.text}` is a list of words, which only the options of a selector take"
                self.findings.report(codes.ARGUMENT_TYPE, message, argument.value.span)
                continue
            given[name] = argument.value
        return given

    def value(self, parameter: Parameter, value: Value, scope: Scope) -> Meaning | None:
        """A value of the parameter's type; None, and a report, when it is of another."""
        match parameter.type:
            case ParameterType.INT:
                term = as_term(value)
                if term is not None:
                    return self.term(term, scope)
            case ParameterType.RATIO:
                if isinstance(value, Ratio):
                    return value
                known = scope.values.get(getattr(value, "name", ""))
                if isinstance(known, Ratio):
                    return known
            case ParameterType.SET | ParameterType.RELATION:
                body = as_expression(value)
                if body is not None:
                    return Closure(body, scope, parameter.type is ParameterType.RELATION)
            case _:
                assert_never(parameter.type)
        message = f"parameter `{parameter.name}` is {A_TYPE[parameter.type]}, and `{value.span.text}` is not"
        help = ""
        if parameter.type is ParameterType.SET and as_term(value) is not None:
            text = value.span.text
            help = f"`{{{text}}}` is the set with this one position, `first({text})` that of the first {text}"
        self.findings.report(codes.ARGUMENT_TYPE, message, value.span, *filter(None, [help]))
        return None


def recursive(rule: Rule, scope: Scope) -> bool:
    """Whether expanding the rule would come back to it."""
    seen: set[int] = set()
    todo = [(rule, scope)]
    while todo:
        current, inside = todo.pop()
        own = {each.name for each in current.parameters if each.type in (ParameterType.SET, ParameterType.RELATION)}
        for call in calls_in(current):
            found = None if call.name in own and not call.arguments else inside.rule(call.name)
            if found is None:
                continue
            if found[0] is rule:
                return True
            if id(found[0]) not in seen:
                seen.add(id(found[0]))
                todo.append(found)
    return False


def calls_in(node: Any) -> Iterator[Call]:
    """Every call in a tree."""
    if isinstance(node, Call):
        yield node
    if isinstance(node, Node):
        for part in fields(node):
            yield from calls_in(getattr(node, part.name))
    elif isinstance(node, tuple):
        for child in node:
            yield from calls_in(child)
