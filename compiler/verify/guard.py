"""A bound in time and memory for proofs: a formula built to explode ends in a verdict, never in a hang or a crash.

Most claims are decided here, in milliseconds. How long a proof will take cannot be told beforehand, nor from the number
of set operations, some of which take a thousand times as long as others; and while one runs, nothing can stop it. So a
claim is tried under a low ceiling, then under higher ones as long as each is reached quickly. What is not decided so,
what is large, and what is left of a pattern that has taken long already, is decided in a process of its own, within a
time and a memory; what it does not decide is UNKNOWN.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any, cast

from ...patterns_dsl.syntax import BoundPattern, BoundPlan, Claim, Node, PlanClaim
from ..ceiling import Heavier, ceiling
from ..effort import allowance
from .plan_prove import prove as prove_plan
from .plan_subject import PlanSubject
from .process import NotStarted, Process, Stopped, process
from .proof import Proof
from .prove import Disagreement, prove
from .result import Result, Status
from .stated import at_length
from .subject import Subject

LARGE = 600
"""Nodes of a pattern's tree; the largest stock pattern has a quarter of it."""

CEILINGS = tuple((4_000 * 3**stage, 2**16 * 8**stage) for stage in range(4))
"""(set operations, places of brute force) that a claim is tried with here, one after the other. The first is enough for
half of the stock claims, the second for nearly all; none for a proof that uses up its own budget."""

QUICK = 3e-6
"""Seconds that a set operation usually takes, several times over: where a ceiling was reached more slowly, the next is
not tried."""

PATIENCE = 2.0
"""Seconds that a pattern's proofs may take here before the rest goes to a process of its own."""

TIME_LIMIT = 6.0
"""Seconds that the processes of a pattern get, one after the other."""

TRIED = 2**20
"""Places of brute force at small lengths for the claims whose proofs were stopped, together: about a second."""

SHARE = 1.0
"""Seconds that a claim gets at least, if there are any left; of more, each claim gets its share."""


def check_within(bound: BoundPattern | BoundPlan) -> tuple[Result, ...]:
    """The verdict on every claim, in order; all together take no longer than the limits of this module."""
    begun, claims = time.monotonic(), cast("Sequence[Claim | PlanClaim]", bound.claims)
    results: dict[int, Result] = {}
    if size(bound) <= LARGE:
        for number, claim in enumerate(claims):
            if time.monotonic() - begun > PATIENCE:
                break
            if (result := _quickly(bound, claim)) is not None:
                results[number] = result
    results |= _apart(bound, [number for number in range(len(claims)) if number not in results])
    return tuple(results[number] for number in range(len(claims)))


def _quickly(bound: BoundPattern | BoundPlan, claim: Claim | PlanClaim) -> Result | None:
    """The verdict on one claim, if little work leads to it."""
    for operations, places in CEILINGS:
        try:
            with ceiling(operations, places):
                return proved(bound, claim)
        except Heavier as heavier:
            if heavier.seconds > operations * QUICK:
                break
    return None


def proved(bound: BoundPattern | BoundPlan, claim: Claim | PlanClaim) -> Result:
    """The verdict on one claim of a pattern or plan, decided here."""
    if isinstance(bound, BoundPlan):
        assert isinstance(claim, PlanClaim)
        return prove_plan(claim, PlanSubject(bound))
    assert isinstance(claim, Claim)
    return prove(claim, Subject(bound))


def size(node: Any) -> int:
    """The nodes of a tree; a loop, since it may be deep."""
    count, todo = 0, [node]
    while todo:
        current = todo.pop()
        if isinstance(current, tuple):
            todo += current
        elif isinstance(current, Node):
            count += 1
            todo += [getattr(current, field.name) for field in fields(current) if field.name != "span"]
    return count


def _apart(bound: BoundPattern | BoundPlan, numbers: Sequence[int]) -> dict[int, Result]:
    """The claims of these numbers, decided by processes of their own as far as they come."""
    left, results, stopped, seconds = list(numbers), dict[int, Result](), dict[int, str](), TIME_LIMIT
    note = f"stopped after {TIME_LIMIT:.0f} seconds for this and other claims"
    while left and seconds > 0:
        try:
            with suppress(Stopped), process() as worker:
                begun = time.monotonic()  # what a start takes is not the claims' time: it grows with the load
                try:
                    for number, answer in _answers(worker, bound, tuple(left), begun + seconds):
                        left.remove(number)
                        if isinstance(answer, Result):
                            results[number] = answer
                        else:
                            stopped[number] = answer
                finally:
                    seconds -= time.monotonic() - begun
        except NotStarted as error:
            note = f"it needs a process of its own, and {error}"
            break
    return results | _tried(bound, stopped | dict.fromkeys(left, note))


def _answers(
    worker: Process, bound: BoundPattern | BoundPlan, numbers: tuple[int, ...], end: float
) -> Iterator[tuple[int, Result | str]]:
    """The verdicts of one process, up to the first claim that it does not decide in its share of the time. Raises
    Stopped after that one, of which it says why."""
    worker.send((bound, numbers))
    for place, number in enumerate(numbers):
        seconds = max(0.0, min(end - time.monotonic(), max(SHARE, (end - time.monotonic()) / (len(numbers) - place))))
        try:
            result = worker.receive(seconds)
        except Stopped:
            yield number, f"the proof was stopped after {seconds:.1f} seconds, or out of memory"
            raise
        if isinstance(result, Disagreement):
            raise result
        yield number, result


def _tried(bound: BoundPattern | BoundPlan, stopped: Mapping[int, str]) -> dict[int, Result]:
    """What brute force alone says of claims whose proofs were stopped, each with the reason: of their length, or of
    small ones. Nothing of those of a plan."""
    results = {number: _undecided(bound.claims[number], note) for number, note in stopped.items()}
    if isinstance(bound, BoundPlan):
        return results
    for number, note in stopped.items():
        claim = bound.claims[number]
        proof = Proof(claim, Subject(bound), operations=1, thorough=False)
        with suppress(Heavier), ceiling(proof.operations, 8 * TRIED), allowance(TRIED // len(stopped)):
            results[number] = proof.scan(note) if claim.at is None else at_length(proof, *claim.at.values)
    return results


def _undecided(claim: Claim | PlanClaim, note: str) -> Result:
    text = " ".join(claim.span.text.split()).removeprefix("prove ")
    return Result(claim, text, Status.UNKNOWN, explanation=note)
