"""A plan for a longer sequence, cut to a shorter one: what a new length costs where it is near one that was planned.

Most patterns say nothing of the length: what they leave of n tokens is what they leave of the first n of N. Then so do
the blocks of a plan: rows and keys from n on are cut off. A plan is made for few lengths, the *milestones*, at most a
quarter apart, and masks are shared by the lengths between them (longer.py cuts).
"""

from __future__ import annotations

from functools import lru_cache

from ....compiler.passes.pinned import Pinned
from ....compiler.passes.program import Program, Range
from ....compiler.relations.integer import Binary, Expr, Select, Var, variables
from .pairs import PairTable

FEWEST = 32
"""Milestones are multiples of this."""


def milestone(program: Program | PairTable, n: int, nk: int) -> int:
    """The length that is planned for n tokens: n itself where the pattern depends on it."""
    if program.cross or n != nk or not keeps_to_prefixes(program):
        return n
    step = max(FEWEST, 1 << max(0, (n - 1).bit_length() - 3))
    return -(-n // step) * step


def keeps_to_prefixes(program: Program | PairTable) -> bool:
    """Whether the pairs at n are those at any longer length between the first n tokens, as far as is seen at once."""
    return program.any_length if isinstance(program, PairTable) else _keeps_to_prefixes(Pinned(program))


@lru_cache(maxsize=256)
def _keeps_to_prefixes(pinned: Pinned[Program]) -> bool:
    program = pinned.program
    spans = [span for kernel in program.forward for sweep in kernel.sweeps for span in sweep.ranges]
    # Of a tiled order the ranks that exist are no prefix.
    plain = not any("n" in variables(term.keep) or term.query.tiled or term.key.tiled for term in program.terms)
    return plain and all(map(_any_length, spans))


def _any_length(span: Range) -> bool:
    steps = () if span.fan is None else (span.fan.first, span.fan.last)
    return not any({"n", "T"} & variables(end) for end in steps) and _clipped_alone(span.lo) and _clipped_alone(span.hi)


def _clipped_alone(end: Expr) -> bool:
    """Whether min(end, T) depends on the length only by T: n does not occur, and T as a value of its own alone."""
    match end:
        case Var(name="T"):
            return True
        case Binary(operator="min" | "max", left=left, right=right):
            return _clipped_alone(left) and _clipped_alone(right)
        case Select(condition=condition, then=then, otherwise=otherwise):
            return not {"n", "T"} & variables(condition) and _clipped_alone(then) and _clipped_alone(otherwise)
        case _:
            return not {"n", "T"} & variables(end)
