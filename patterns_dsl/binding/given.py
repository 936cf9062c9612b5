"""Arguments from outside a file, from the command line or from Python, read as if they stood in one."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import TypeAlias, cast

from ..diagnostics import codes
from ..diagnostics.diagnostic import Diagnostic, PatternError
from ..diagnostics.source import Source, Span
from ..parsing.parse import parse_value
from ..syntax import Argument, Expression, Integer, Pattern, Ratio, Value
from ..syntax.node import Node
from ..syntax.terms import LARGEST

Given: TypeAlias = int | float | str | Expression
"""A float is a ratio in [0, 1]; numbers of other types are read as these. Text is read as in a file: ``64``, ``10%``,
``first(2) | {7}``."""


def from_outside(pattern: Pattern, arguments: Mapping[str, Given]) -> tuple[Argument, ...]:
    """The arguments as nodes; their values' spans are in sources of their own. Raises PatternError."""
    found: list[Diagnostic] = []
    given: list[Argument] = []
    for name, value in arguments.items():
        try:
            given.append(Argument(name, _read(name, value), span=header(pattern)))
        except PatternError as error:
            found += error.diagnostics
    if found:
        raise PatternError(found)
    return tuple(given)


def _read(name: str, value: object) -> Value:
    match value:
        case str():
            return parse_value(Source(f"argument {name}", value))
        case bool() | int() | float():
            return _number(name, value)
        case Integral():
            return _number(name, int(value))
        case Real():
            return _number(name, float(value))
        case Node():
            return cast("Expression", value)
        case _:
            text = f"{value!r}"
            span = Span(Source(f"argument {name}", text), 0, len(text))
            message = f"a {type(value).__name__} is no value for a parameter: give a number, or text as in a file"
            raise PatternError([Diagnostic(codes.ARGUMENT_TYPE, message, span)])


def _number(name: str, value: int | float) -> Value:
    ratio = isinstance(value, float) and 0 <= value <= 1
    text = f"{100 * value:.10g}%" if ratio else str(value)
    span = Span(Source(f"argument {name}", text), 0, len(text))
    if isinstance(value, bool) or not -LARGEST <= value <= LARGEST:
        raise PatternError([Diagnostic(codes.ARGUMENT_TYPE, f"`{value}` is no value for a parameter", span)])
    if isinstance(value, int):
        return Integer(value, span=span)
    if not ratio:
        message = f"a fraction stands for a ratio, between 0 and 1, and this is {value}"
        raise PatternError([Diagnostic(codes.OUT_OF_RANGE, message, span)])
    return Ratio(float(text.removesuffix("%")), span=span)  # 100 * 0.29 is less than 29


def header(pattern: Pattern) -> Span:
    """The pattern up to its opening brace."""
    source, start = pattern.span.source, pattern.span.start
    end = source.text.find("{", start, pattern.span.end)
    return Span(source, start, start + len(source.text[start:end].rstrip()))
