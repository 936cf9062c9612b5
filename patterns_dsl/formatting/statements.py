"""The pieces of what stands in the head and the body of a declaration, claims left out."""

from __future__ import annotations

from decimal import Decimal

from .. import syntax
from .pieces import Pieces, Place


def statement(node: syntax.Node) -> Pieces | None:
    """None for a node of another kind."""
    match node:
        case syntax.Step(name, body):
            return "step " if name is None else f"step {name} = ", Place(body)
        case syntax.Learn(name, selector):
            return f"learn {name} = ", Place(selector)
        case syntax.Selector(name, kind, options):
            return (f"learn {name} = {kind}({', '.join(f'{option} = {_value(value)}' for option, value in options)})",)
        case syntax.Assignment(layers, heads, pattern, integration):
            of_heads = "" if heads is None else f" heads {_spans(heads)}"
            how = "" if integration is syntax.Integration.MERGED else f" {integration}"
            return f"layers {'all' if layers is None else _spans(layers)}{of_heads} : ", Place(pattern), how
        case syntax.Parameter(name, kind, default):
            return f"{name}: {kind}", *_given(default)
        case syntax.Axis(name, extent):
            return name, *_given(extent)
        case syntax.Argument(name, value):
            return "" if name is None else f"{name} = ", Place(value, argument=True)
        case syntax.Choices(names):
            return (f"[{', '.join(names)}]",)
        case _:
            return None


def _given(value: syntax.Value | None) -> Pieces:
    return () if value is None else (" = ", Place(value, argument=True))


def _spans(spans: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(f"{low}" if low == high else f"{low}..{high}" for low, high in spans)


def _value(value: syntax.Option) -> str:
    match value:
        case float():
            return f"{Decimal(f'{100 * value:.12g}'):f}%"
        case tuple():
            return f"[{', '.join(value)}]"
        case _:
            return str(value)
