"""lower_learned: a pattern with learned terms into the programs of its positional parts and what selections add."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ...patterns_dsl.syntax import Direction, Expression, Selector
from ..passes.choices import terms_under_gates
from ..passes.program import Program
from ..passes.separate import Separated, separate
from ..relations.denote import denote
from ..relations.isl.context import BudgetExceeded, budget
from ..relations.settle import Extent, drawn, mentions_length, settle
from .runnable import refuse_open, too_complex
from .stored import stored

_OPERATIONS = 1_500_000


@dataclass(frozen=True, slots=True)
class LearnedProgram:
    """The parts of a pattern, and the programs of those that are positional: first what attends whatever is learned,
    if anything does, then one for each gated term."""

    name: str
    parts: Separated
    positional: Program | None
    gated: tuple[Program, ...]


@lru_cache(maxsize=64)
def lower_learned(
    expression: Expression, direction: Direction, selectors: tuple[Selector, ...], name: str
) -> LearnedProgram:
    """Raises PatternError: P401 for what is too complex, P403 for
    terms that no engine runs."""
    try:
        with budget(_OPERATIONS):
            parts = separate(expression, direction, selectors)
    except BudgetExceeded as error:
        raise too_complex(expression, error) from None
    positional = None if parts.positional is None else stored(parts.positional, direction, name, table=parts.table)
    gated = tuple(stored(term.expression, direction, f"{name}.gated{k}") for k, term in enumerate(parts.gated))
    return LearnedProgram(name, parts, positional, gated)


def lower_tables(expression: Expression, direction: Direction, name: str) -> LearnedProgram | None:
    """Of a pattern that learns nothing; None where it has no seeded table either. Raises as ``lower_learned`` does, and
    PatternError (P403) for one that learns."""
    if not drawn(expression):
        return None
    refuse_open(expression)
    return lower_learned(expression, direction, (), name)


@lru_cache(maxsize=64)
def depends_on_length(expression: Expression, direction: Direction) -> bool:
    """Whether some term of the union, under some choice, changes in a row that is there when the sequence grows. A text
    may speak of n and not mean it: ``dilate`` does. What is too complex to tell counts as if it did. A seeded table
    draws among all blocks, but in a causal pattern, where it draws among those behind."""
    if drawn(expression) and direction is not Direction.CAUSAL:
        return True
    try:
        with budget(_OPERATIONS):
            return mentions_length(expression) and any(
                denote(settle(term, Extent.MAY), direction).depends_on_length
                for term, _ in terms_under_gates(expression)
            )
    except BudgetExceeded:
        return True
