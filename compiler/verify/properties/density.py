"""density <= R at n = N: the share of the pairs that are read, of those that the direction allows."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ....patterns_dsl.syntax import Density, Direction, Ratio
from ...effort import TooLong
from ...relations.count import added_up
from ...relations.relation import universe
from .. import realise
from ..realise import Realised
from ..result import Witness
from ..subject import Subject
from . import keys

LONGEST_COUNT = 2**22
"""Queries whose closed-form counts are added up."""


@dataclass(frozen=True, slots=True)
class Share:
    """``words`` says how much attends: exactly, or at most where selections decide. ``realised``: a real choice, if
    any, that is denser than claimed."""

    holds: bool
    words: str
    realised: Realised | None = None


def at_length(claim: Density, subject: Subject, n: int, nk: int | None = None) -> Share:
    """Compares the density at a length with the claim. Raises TooLong, BudgetExceeded, Uncountable."""
    from ..oracle import claims as oracle

    most, allowed = _fraction(claim), _allowed(subject.direction, n, nk)
    choices = realise.sources(claim, subject.pattern)
    exact = not choices and not keys.bounded(subject)
    try:
        read = _total(subject, n, nk) if keys.bounded(subject) else int(oracle.key_counts(subject.pattern, n, nk).sum())
    except TooLong:
        read = _total(subject, n, nk)
        exact = exact and not realise.by_table(claim, subject.pattern)
    if read <= most * allowed:
        return Share(True, _words(read, allowed))
    if exact:
        return Share(False, _words(read, allowed), Realised(Witness(n, keys=nk), "", {}))
    for picks in realise.choices(choices) if choices else ():
        chosen = int(oracle.key_counts(subject.pattern, n, nk, choice=picks).sum())
        if chosen > most * allowed:
            real = Realised(Witness(n, keys=nk), realise.words(choices, picks), picks)
            return Share(False, _words(chosen, allowed), real)
    return Share(False, _words(read, allowed))


def _fraction(claim: Density) -> Fraction:
    if not isinstance(claim.most, Ratio):
        raise TypeError("the density is folded by bind")
    return Fraction(repr(claim.most.percent)) / 100


def _allowed(direction: Direction, n: int, nk: int | None) -> int:
    return n * (n + 1) // 2 if direction is Direction.CAUSAL else n * (n if nk is None else nk)


def _total(subject: Subject, n: int, nk: int | None) -> int:
    """The sum of the counts of all queries, from their closed form: an upper bound where selections decide."""
    if n > LONGEST_COUNT:
        raise TooLong(f"{n} queries are too many to add up")
    return added_up(keys.key_counts(subject).function, universe(subject.direction).queries, n, nk)


def _words(read: int, allowed: int) -> str:
    return f"{read / allowed:.2%} of the pairs attend ({read:,} of {allowed:,})"
