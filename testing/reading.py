"""What becomes of a text: a tree, and then patterns that bind, or diagnostics that point into it. Nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from ..compiler.examine import bind_all
from ..compiler.pattern import Module
from ..compiler.selection import Reference
from ..patterns_dsl.diagnostics.diagnostic import Diagnostic, PatternError
from ..patterns_dsl.diagnostics.source import Span
from ..patterns_dsl.parsing.read import decode


class OutOfPlace(AssertionError):
    """A diagnostic points outside its file."""


@dataclass(frozen=True, slots=True)
class Reading:
    """``stage``: how far the text came: ``refused`` (no tree), ``unbound`` (a tree, and errors in it), ``bound``.
    ``seconds`` are of the processor."""

    stage: str
    codes: tuple[str, ...]
    seconds: float


def reading(content: bytes, name: str = "fuzzed.pat") -> Reading:
    """Reads a file's bytes, binds every pattern and plan, and renders what is wrong. Raises OutOfPlace."""
    begun = time.process_time()
    stage, errors = _read(content, name)
    for error in errors:
        _check_places(error)
        error.render()
    return Reading(stage, tuple(error.code for error in errors), time.process_time() - begun)


def _read(content: bytes, name: str) -> tuple[str, tuple[Diagnostic, ...]]:
    try:
        module = Module(decode(content, name))
    except PatternError as error:
        return "refused", error.diagnostics
    errors = bind_all(module, Reference(name, None), {})[2]
    return "unbound" if errors else "bound", errors


def _check_places(error: Diagnostic) -> None:
    for span in _spans(error):
        if not 0 <= span.start <= span.end <= len(span.source.text):
            where = f"{span.start}..{span.end} of {len(span.source.text)} characters"
            raise OutOfPlace(f"{error.code} points at {where} of {span.source.name}: {error.message}")


def _spans(error: Diagnostic) -> Iterator[Span]:
    yield error.span
    yield from (label.span for label in error.labels)
    if error.fix is not None:
        yield error.fix.span
