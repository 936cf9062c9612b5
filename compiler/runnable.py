"""Which patterns the engines run so far."""

from __future__ import annotations

from ..patterns_dsl.diagnostics import codes
from ..patterns_dsl.diagnostics.diagnostic import Diagnostic, PatternError
from ..patterns_dsl.syntax import Expression
from .relations.settle import drawn, opens, pooled

_COMPLEX_REMEDY = 'use fewer products `@` and moduli, or run it with engine="reference"'


def too_complex(expression: Expression, error: Exception) -> PatternError:
    """P401: the set computations ran out of their budget."""
    message = f"the relation is too complex to compile: {error}"
    return PatternError([Diagnostic(codes.TOO_COMPLEX, message, expression.span, help=(_COMPLEX_REMEDY,))])


def refuse_open(expression: Expression, *, tables: bool = False) -> None:
    """Raises PatternError (P403) for what is decided at run time, by a seeded table (but for an engine that can read
    ``tables``), or seen in summaries: no program holds it."""
    found = [f"what `{one.source}` decides" for one in opens(expression)]
    found += ["a seeded table"] if drawn(expression) and not tables else []
    found += ["a pooled term"] if pooled(expression) else []
    if found:
        message = f"a program cannot hold {' or '.join(found)}"
        remedy = (
            "what a layer learns runs in a layer, in Python: `patternc.attach(model, pattern)`, or"
            " `patternc.compile(pattern, heads=...)`"
        )
        raise PatternError([Diagnostic(codes.NO_ENGINE, message, expression.span, help=(remedy,))])
