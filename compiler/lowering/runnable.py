"""Which patterns the engines run so far."""

from __future__ import annotations

from ...patterns_dsl.binding.selections import DOCUMENTS
from ...patterns_dsl.diagnostics import codes
from ...patterns_dsl.diagnostics.diagnostic import Diagnostic, PatternError
from ...patterns_dsl.syntax import Expression
from ..passes.choices import without_documents
from ..relations.settle import drawn, opens, pooled

_LAYER_REMEDY = (
    "what a layer learns runs in a layer, in Python: `patternc.attach(model, pattern)`, or"
    " `patternc.compile(pattern, heads=...)`"
)
_COMPLEX_REMEDY = 'use fewer products `@` and moduli, or run it with engine="reference"'


def too_complex(expression: Expression, error: Exception) -> PatternError:
    """P401: the set computations ran out of their budget."""
    message = f"the relation is too complex to compile: {error}"
    return PatternError([Diagnostic(codes.TOO_COMPLEX, message, expression.span, help=(_COMPLEX_REMEDY,))])


def refuse_open(expression: Expression) -> None:
    """Raises PatternError (P403) for what a layer learns, what the data decide, or what is seen in summaries."""
    left = opens(expression)
    found = [f"what `{one.source}` decides" for one in left]
    found += ["a pooled term"] if pooled(expression) else []
    data = [one for one in left if one.examples == DOCUMENTS]
    remedies = [without_documents(one.source, packed=len(found) == len(data) and not drawn(expression)) for one in data]
    if len(found) > len(data):
        remedies.append(_LAYER_REMEDY)
    if found:
        raise _refused(expression, " or ".join(found), *remedies)


def refuse_tables(expression: Expression) -> None:
    """Raises PatternError (P403) for what a seeded table decides: it is no relation for all lengths."""
    if drawn(expression):
        remedy = "lower what is positional alone (`lower_learned`); lists of keys say what the table draws"
        raise _refused(expression, "a seeded table", remedy)


def _refused(expression: Expression, what: str, *remedies: str) -> PatternError:
    message = f"a program cannot hold {what}"
    return PatternError([Diagnostic(codes.NO_ENGINE, message, expression.span, help=remedies)])
