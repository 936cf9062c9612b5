"""The length that is planned in place of a shorter one: what a new length costs where it is near one that was planned.

Most patterns say nothing of the length: what they leave of n tokens is what they leave of the first n of N. Then so do
the blocks of a plan: rows and keys from n on are cut off. A plan is made for few lengths, the *milestones*, at most a
quarter apart, and masks are shared by the lengths between them (longer.py cuts).

Others ask for the length: which block of 64 tokens is the last, whether there are three tiles. What they ask has the
same answers at many lengths, and between two of these the same holds. Sweeps that ask for a single token, the last one,
are told apart: these alone are planned for every length (anew.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from .....compiler.passes.count import tile_count
from .....compiler.passes.pinned import Pinned
from .....compiler.passes.program import NATURAL, Order, Program, Sweep, Term
from .....compiler.relations.integer import Expr, Predicate, Var, variables
from .....compiler.relations.tape import Tape
from ..planning.arranged import sweeps
from ..planning.on_disk import rounded
from ..planning.pairs import PairTable
from .ends import ending
from .questions import last, of_mask, of_range, quotients

_ROUND = (64, 32, 16)
"""Where answers change within what divides a length, one of these may still be planned."""


def milestone(program: Program | PairTable, n: int, nk: int) -> int:
    """The length that is planned for n tokens: n itself where all of the pattern says something else of every
    length."""
    if program.cross or n != nk or n == 0:
        return n
    longer = rounded(n)
    if isinstance(program, PairTable):
        return longer if program.any_length else n
    if n == longer or not _shares(Pinned(program)):
        return n
    known = shared(Pinned(program))
    if not known.asked:
        return longer
    answers = [each.answers(n) for each in known.asked]
    lengths = longer, min(each.last(n) for each in known.asked), *(-(-n // size) * size for size in _ROUND)
    for length in lengths:
        if n < length <= longer and all(
            each.answers(length) == own for each, own in zip(known.asked, answers, strict=True)
        ):
            return length
    return n


def keeps_to_prefixes(program: Program | PairTable) -> bool:
    """Whether the pairs at n are those at any longer length between the first n tokens, as far as is seen at once."""
    if isinstance(program, PairTable):
        return program.any_length
    known = shared(Pinned(program))
    return not known.asked and not known.own


@dataclass(frozen=True, slots=True)
class _Asked:
    """What terms ask of the length: integers and truth values over n and T, which is the number of tiles of ``size``
    ranks of a key order; None: over n alone. Where the answers are the same at two lengths, the pairs at the shorter
    one are those at the longer one between tokens that are there."""

    questions: Tape
    quotients: tuple[tuple[int, int, int], ...]  # that occur in these
    key: Order | None
    size: int

    def answers(self, n: int) -> list[object]:
        values = {"n": n, "T": 0}
        if self.key is not None:
            least, most = (tile_count(self.key, cls, n, self.size) for cls in (self.key.classes - 1, 0))
            if least < most:  # which class has how many is not looked at
                return [n]
            values["T"] = most
        return self.questions.of_numbers(values)

    def last(self, n: int) -> int:
        """The last length at which no quotient of the length has changed, and of a natural order no number of tiles."""
        found = [last(each, n) for each in self.quotients]
        if self.key == NATURAL:
            found.append(-(-n // self.size) * self.size)
        return min(found, default=n << 1)


class Shared(NamedTuple):
    """What lengths share: the sweeps that ask nothing but this, which is the same at many lengths. The others, by
    their numbers, are ``own``: they say something else of every length."""

    asked: tuple[_Asked, ...]
    own: frozenset[int]


@lru_cache(maxsize=256)
def shared(pinned: Pinned[Program]) -> Shared:
    program, every = pinned.program, sweeps(pinned.program)
    found: dict[tuple[Order | None, int], dict[Expr | Predicate, None]] = {}
    own: set[int] = set()
    for number, sweep in enumerate(every):
        term, size = program.terms[sweep.term], program.tile_of(sweep).key
        asked = _asked_by(term, sweep)
        if asked is None:
            own.add(number)
            continue
        for each in asked:
            found.setdefault((term.key, size) if "T" in variables(each) else (None, 0), {})[each] = None
    groups = (
        _Asked(
            Tape.of(tuple(questions), ("n", "T"), "n"),
            tuple({each for one in questions for each in quotients(one)}),
            *where,
        )
        for where, questions in found.items()
    )
    return Shared(tuple(groups), frozenset(own))


def _asked_by(term: Term, sweep: Sweep) -> list[Expr | Predicate] | None:
    """None where it asks for the length itself."""
    asked: list[Expr | Predicate] = []
    for each in chain(of_mask(term), *map(of_range, sweep.ranges)):
        if each == Var("n"):
            return None
        asked.append(each)
    return asked


@lru_cache(maxsize=256)
def _shares(pinned: Pinned[Program]) -> bool:
    """Whether some sweep is not its own, or no other than those of longer sequences but near the end."""
    own, every = shared(pinned).own, sweeps(pinned.program)
    return len(own) < len(every) or any(ending(pinned, number) for number in own if every[number].diagonal)
