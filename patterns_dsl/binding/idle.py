"""Rules that no pattern uses: binding never meets them, so what can be known without arguments is checked here."""

from __future__ import annotations

from collections.abc import Iterator

from ..builtin.natives import NATIVES
from ..builtin.prelude import prelude
from ..diagnostics import codes
from ..diagnostics.diagnostic import Diagnostic
from ..parsing.kinds import as_term
from ..syntax import Module, ParameterType, Rule
from .calls import calls_in, recursive
from .scope import Scope, suggestion


def idle_rules(module: Module) -> Iterator[Diagnostic]:
    """Unknown names, wrong numbers of arguments and recursion in the rules that no pattern of the module calls."""
    scope = Scope((module, prelude()))
    used: set[str] = set()
    named = {call.name for pattern in module.patterns for call in calls_in(pattern)}
    while named - used:
        used |= named
        named = {call.name for rule in module.rules if rule.name in used for call in calls_in(rule)}
    for rule in module.rules:
        if rule.name not in used:
            yield from _findings(rule, scope)


def _findings(rule: Rule, scope: Scope) -> Iterator[Diagnostic]:
    if recursive(rule, scope):
        message, help = (
            f"rule `{rule.name}` is defined through itself",
            "a rule may call only rules that end without it",
        )
        yield Diagnostic(codes.RECURSION, message, rule.span, help=(help,))
    own = {parameter.name for parameter in rule.parameters}
    bodies = (ParameterType.SET, ParameterType.RELATION)
    sets = {parameter.name for parameter in rule.parameters if parameter.type in bodies}
    for call in calls_in(rule.body):
        if call.name in own and not call.arguments:
            continue  # as an argument a call without arguments may be any parameter
        if as_term(call) is not None:
            continue  # `max(m, 1)` in an argument is a number
        found = scope.rule(call.name)
        if found is None and call.name in NATIVES:
            continue
        if found is None:
            help = suggestion(call.name, scope.relation_names | sets)
            message = f"unknown relation or set `{call.name}`"
            yield Diagnostic(codes.UNKNOWN_NAME, message, call.span, help=(help,))
        elif len(call.arguments) > len(found[0].parameters):
            message = f"`{call.name}` takes {len(found[0].parameters)} arguments, {len(call.arguments)} given"
            yield Diagnostic(codes.ARGUMENT_COUNT, message, call.span)
