"""What means something, and surely not what was meant: an interval that is written backwards holds nothing.

Binding lets it pass, since an interval between parameters may well be empty; of two plain numbers it is a slip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from ..diagnostics import codes
from ..diagnostics.diagnostic import Diagnostic, Fix
from ..syntax import Elements, Exists, Integer, Module, Node, Term


def slips(module: Module) -> Iterator[Diagnostic]:
    """Those of a file, in order."""
    for declaration in (*module.rules, *module.patterns, *module.plans):
        for low, high in _intervals(declaration):
            yield from _backwards(low, high)


def _intervals(node: Any) -> Iterator[tuple[Term, Term]]:
    if isinstance(node, tuple):
        for part in node:
            yield from _intervals(part)
    if not isinstance(node, Node):
        return
    match node:
        case Elements(intervals):
            yield from intervals
        case Exists(_, _, bounds) if bounds is not None:
            yield bounds
        case _:
            pass
    for field in fields(node):
        yield from _intervals(getattr(node, field.name))


def _backwards(low: Term, high: Term) -> Iterator[Diagnostic]:
    if isinstance(low, Integer) and isinstance(high, Integer) and high.value < low.value:
        written, instead = low.span.to(high.span), f"{high.span.text}..{low.span.text}"
        message = f"no number lies in {' '.join(written.text.split())}"
        fix = Fix(f"write `{instead}`", written, instead)
        yield Diagnostic(codes.INTERVAL, message, written, help=(f"write {instead}",), fix=fix)
