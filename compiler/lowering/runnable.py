"""Which patterns the engines run so far."""

from __future__ import annotations

from ...patterns_dsl.diagnostics import codes
from ...patterns_dsl.diagnostics.diagnostic import Diagnostic, PatternError
from ...patterns_dsl.syntax import Expression
from ..relations.settle import drawn, opens, pooled

_COMPLEX_REMEDY = 'use fewer products `@` and moduli, or run it with engine="reference"'


def too_complex(expression: Expression, error: Exception) -> PatternError:
    """P401: the set computations ran out of their budget."""
    message = f"the relation is too complex to compile: {error}"
    return PatternError([Diagnostic(codes.TOO_COMPLEX, message, expression.span, help=(_COMPLEX_REMEDY,))])


def refuse_open(expression: Expression) -> None:
    """Raises PatternError (P403) for what a layer learns, what the data decide, or what is seen in summaries."""
    found = [f"what `{one.source}` decides" for one in opens(expression)]
    found += ["a pooled term"] if pooled(expression) else []
    if found:
        remedy = (
            "what a layer learns runs in a layer, in Python: `patternc.attach(model, pattern)`, or"
            " `patternc.compile(pattern, heads=...)`"
        )
        raise _refused(expression, " or ".join(found), remedy)


def refuse_tables(expression: Expression) -> None:
    """Raises PatternError (P403) for what a seeded table decides: it is no relation for all lengths."""
    if drawn(expression):
        remedy = "lower what is positional alone (`lower_learned`); lists of keys say what the table draws"
        raise _refused(expression, "a seeded table", remedy)


def _refused(expression: Expression, what: str, remedy: str) -> PatternError:
    message = f"a program cannot hold {what}"
    return PatternError([Diagnostic(codes.NO_ENGINE, message, expression.span, help=(remedy,))])
