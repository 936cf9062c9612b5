"""Binding of `learn` declarations: a selector with a value for every option."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from .. import syntax
from ..builtin.selectors import KINDS, MEDIUM_SIZE, Kind, OptionType, level_cost
from ..diagnostics import codes
from ..parsing.kinds import as_term
from ..syntax import Learn, Option, Selector
from .expand import Expansion
from .scope import Scope, closest, suggestion


def bind_selector(learn: Learn, scope: Scope, expansion: Expansion) -> Selector | None:
    """The selector; None, and reports, where it cannot be."""
    findings, call = expansion.findings, learn.selector
    kind = KINDS.get(call.name)
    if kind is None:
        message = f"there is no selector `{call.name}`"
        findings.unknown(codes.SELECTOR, message, call.name, KINDS, call.span)
        return None
    before = len(findings.diagnostics)
    given: dict[str, syntax.Value | syntax.Choices] = {}
    for argument in call.arguments:
        name = argument.name
        if name is None:
            help = f"the options of `{call.name}` are given by name: {signature(call.name)}"
            findings.report(codes.OPTION, "an option without its name", argument.span, help)
        elif name not in kind.options:
            message = f"`{call.name}` has no option `{name}`"
            findings.unknown(codes.OPTION, message, name, kind.options, argument.span)
        elif name in given:
            findings.report(codes.OPTION, f"`{name}` is given twice", argument.span)
        else:
            given[name] = argument.value
    options = _values(learn, kind, given, scope, expansion)
    if len(findings.diagnostics) > before or options is None:
        return None
    _check_room(learn, options, expansion)
    _check_levels(learn, options, expansion)
    return Selector(learn.name, call.name, tuple(options.items()), span=learn.span)


def _values(
    learn: Learn,
    kind: Kind,
    given: Mapping[str, syntax.Value | syntax.Choices],
    scope: Scope,
    expansion: Expansion,
) -> dict[str, Option] | None:
    options: dict[str, Option] = {}
    cross = expansion.direction is syntax.Direction.CROSS
    for name, wanted in kind.options.items():
        default = wanted.cross if cross and wanted.cross is not None else wanted.default
        if name in given:
            value = _value(name, wanted, given[name], scope, expansion)
        elif default is None:
            message = f"`{learn.selector.name}` is not told its option `{name}`"
            expansion.findings.report(codes.OPTION, message, learn.selector.span, signature(learn.selector.name))
            value = None
        else:
            value = default
        if value is None:
            return None
        options[name] = value
    return options


def _value(
    name: str, wanted: OptionType, value: syntax.Value | syntax.Choices, scope: Scope, expansion: Expansion
) -> Option | None:
    findings = expansion.findings
    match wanted.kind:
        case "int" if not isinstance(value, syntax.Choices) and (term := as_term(value)) is not None:
            number = expansion.constant(term, scope, f"option `{name}`")
            if number is not None and number < wanted.least:
                message = f"option `{name}` must be at least {wanted.least}, and is {number}"
                findings.report(codes.OPTION, message, value.span)
            return number
        case "ratio":
            known = scope.values.get(value.name) if isinstance(value, syntax.Name) else value
            if isinstance(known, syntax.Ratio):
                if known.percent == 0:
                    findings.report(codes.OPTION, f"option `{name}` of 0% would select nothing", value.span)
                return known.percent / 100
        case "word" if isinstance(value, syntax.Name):
            if value.name in wanted.words:
                return value.name
            message = f"option `{name}` cannot be `{value.name}`"
            findings.unknown(codes.OPTION, message, value.name, wanted.words, value.span)
            return None
        case "words" if isinstance(value, syntax.Choices):
            if strange := [word for word in value.names if word not in wanted.words]:
                message = f"option `{name}` cannot hold `{strange[0]}`"
                close, text = closest(strange[0], wanted.words), value.span.text
                fix = re.sub(rf"\b{strange[0]}\b", close, text) if close else None
                findings.report(codes.OPTION, message, value.span, suggestion(strange[0], wanted.words), fix=fix)
                return None
            return tuple(dict.fromkeys(value.names))
        case _:
            pass
    shown = {"int": "a number", "ratio": "a ratio such as `10%`", "word": "a word", "words": "a list such as `[a, b]`"}
    message = f"option `{name}` is {shown[wanted.kind]}, and `{value.span.text}` is not"
    help = f"it is one of {', '.join(wanted.words)}" if wanted.words else ""
    findings.report(codes.OPTION, message, value.span, *filter(None, [help]))
    return None


def _check_room(learn: Learn, options: Mapping[str, Option], expansion: Expansion) -> None:
    """What is forced must fit into the k that are chosen."""
    forced, k = options.get("forced"), options.get("k")
    span = learn.selector.span
    if isinstance(forced, tuple) and "diagonal" in forced and expansion.direction is syntax.Direction.CROSS:
        message = "`diagonal` means the query's own tokens, and a cross pattern has none among its keys"
        expansion.findings.report(codes.OPTION, message, span, "leave it out of `forced`")
    elif isinstance(forced, tuple) and isinstance(k, int) and k < len(forced):
        message = f"k = {k} leaves no room for what is forced: {', '.join(forced)}"
        expansion.findings.report(codes.OPTION, message, span, "choose a larger k, or force less")


def _check_levels(learn: Learn, options: Mapping[str, Option], expansion: Expansion) -> None:
    """A level must be left, its summaries fit into blocks, and the budget not be beneath all levels."""
    levels, block, budget = (options.get(name) for name in ("levels", "block", "budget"))
    if not (isinstance(levels, tuple) and isinstance(block, int) and isinstance(budget, float)):
        return
    span = learn.selector.span
    if not set(levels) - {"skip"}:
        expansion.findings.report(codes.OPTION, "every level skips: nothing is left to attend to", span)
    if "medium" in levels and block % MEDIUM_SIZE:
        message = f"`medium` is summaries of {MEDIUM_SIZE} tokens, which blocks of {block} do not divide into"
        help = f"choose a block that is a multiple of {MEDIUM_SIZE}, or leave `medium` out of the levels"
        expansion.findings.report(codes.OPTION, message, span, help)
    cost, cheapest = min((level_cost(level, block), level) for level in levels)
    if budget < cost and len(levels) > 1:  # where there is one alone a budget says nothing
        message = f"no choice of levels costs as little as {100 * budget:g}%: `{cheapest}` costs {100 * cost:.3g}%"
        help = f"give a budget of {math.ceil(100 * cost)}% or more, or `skip` among the levels"
        expansion.findings.report(codes.OPTION, message, span, help)


def signature(name: str) -> str:
    """``topk_blocks(k, block = 64, ...)``, for people."""
    parts = []
    for option, wanted in KINDS[name].options.items():
        default = wanted.default
        if default is None:
            parts.append(option)
        elif isinstance(default, tuple):
            parts.append(f"{option} = [{', '.join(default)}]")
        else:
            parts.append(f"{option} = {f'{100 * default:g}%' if isinstance(default, float) else default}")
    return f"{name}({', '.join(parts)})"
