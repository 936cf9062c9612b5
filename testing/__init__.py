"""Strategies for Hypothesis that write the language, inputs for attention, and the engines' error budget.

    from hypothesis import given, settings
    from patternc.testing import lengths, patterns

    @settings(deadline=None)  # the first example imports torch
    @given(patterns(direction="causal"), lengths(most=40))
    def test_no_query_looks_ahead(pattern, n):
        assert not pattern.mask(n).triu(1).any()

What is generated is text, and it binds: a failing example is a small file. See docs/testing.md. The names load on first
use: importing this imports neither hypothesis nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .arguments import bindings as bindings
    from .arguments import lengths as lengths
    from .files import directions as directions
    from .files import modules as modules
    from .files import patterns as patterns
    from .files import plans as plans
    from .inputs import AttentionInputs as AttentionInputs
    from .inputs import attention_inputs as attention_inputs
    from .text.claims import claims as claims
    from .text.declarations import rules as rules
    from .text.formulas import formulas as formulas
    from .text.formulas import sets as sets
    from .text.relations import relations as relations
    from .text.terms import terms as terms
    from .text.vocabulary import Vocabulary as Vocabulary
    from .text.vocabulary import vocabulary as vocabulary

_HOMES = {
    "AttentionInputs": ".inputs",
    "Vocabulary": ".text.vocabulary",
    "attention_inputs": ".inputs",
    "bindings": ".arguments",
    "claims": ".text.claims",
    "directions": ".files",
    "formulas": ".text.formulas",
    "lengths": ".arguments",
    "modules": ".files",
    "patterns": ".files",
    "plans": ".files",
    "relations": ".text.relations",
    "rules": ".text.declarations",
    "sets": ".text.formulas",
    "terms": ".text.terms",
    "vocabulary": ".text.vocabulary",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
