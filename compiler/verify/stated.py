"""A claim at a stated length: by brute force, or from the same relations as a proof where it is too long for that."""

from __future__ import annotations

from dataclasses import replace

from ...patterns_dsl.syntax import Density, Reach
from ..effort import TooLong
from ..relations.count import Uncountable
from ..relations.isl.context import BudgetExceeded, budget, quote
from ..relations.isl.presburger import IntegerSet
from ..relations.relation import lengths
from .proof import COUNTING, Proof, witness_at
from .properties import density
from .result import Result, Status

LONG = 768
"""Tokens from which on products of whole masks take longer than a small proof."""

_SMALL_PROOF = 20_000


def at_length(proof: Proof, n: int, nk: int | None = None) -> Result:
    """The verdict at this length alone: CHECKED, REFUTED or UNKNOWN."""
    from .oracle import claims as oracle

    if isinstance(proof.claim, Density):
        return _density(proof, proof.claim, n, nk)
    if isinstance(proof.claim, Reach) and n >= LONG:
        result = _by_relations(proof, n, nk, _SMALL_PROOF)
        if result.status is not Status.UNKNOWN:
            return result
    try:
        bound = oracle.first_violation(proof.claim, proof.subject.pattern, n, nk)
        real = None if bound is None else proof.at(n, nk)
    except TooLong:
        return _by_relations(proof, n, nk, proof.operations * proof.weight)
    if proof.negated:
        return proof.all_connected(f" at n = {n}") if bound is None else proof.shown(bound, Status.CHECKED)
    if bound is None:
        return proof.verdict(Status.CHECKED)
    return proof.undecided(bound) if real is None else proof.refuted(real)


def _by_relations(proof: Proof, n: int, nk: int | None, operations: int) -> Result:
    claim, direction = proof.claim, proof.subject.direction
    if isinstance(claim, Reach) and claim.steps is None and not claim.any_order:
        return proof.verdict(Status.UNKNOWN, note=f"n = {n} is too long to follow every path; name K steps")
    names = lengths(direction)
    stated = zip(names, (n, n if nk is None else nk), strict=False)
    formula = " and ".join(f"{quote(name)} = {number}" for name, number in stated)
    try:
        with budget(operations):
            found = proof.violations()
            here = found.points & IntegerSet.parse(found.points.dims, formula, names)
            point = here.smallest(names)
    except (BudgetExceeded, Uncountable) as error:
        return proof.verdict(Status.UNKNOWN, note=f"no proof at n = {n}: {error}")
    if point is None:
        return proof.all_connected(f" at n = {n}") if proof.negated else proof.verdict(Status.CHECKED)
    result = proof.violated(witness_at(point), exact=found.exact)
    if result.witness is not None and result.witness.n != n:  # what holds at another length says nothing here
        return proof.undecided(witness_at(point))
    return replace(result, status=Status.CHECKED) if result.status is Status.PROVED else result


def _density(proof: Proof, claim: Density, n: int, nk: int | None) -> Result:
    try:
        with budget(proof.operations * COUNTING):
            share = density.at_length(claim, proof.subject, n, nk)
    except (TooLong, BudgetExceeded, Uncountable) as error:
        return proof.verdict(Status.UNKNOWN, note=f"the pairs at this length were not counted: {error}")
    if share.holds:
        return proof.verdict(Status.CHECKED)
    if share.realised is None:
        when = f"if {proof.named} choose all they may" if proof.open else f"whatever {proof.named} draws"
        return proof.verdict(Status.UNKNOWN, note=f"{share.words} at most, {when}")
    note = " ".join(filter(None, [share.words, share.realised.words]))
    return proof.verdict(Status.REFUTED, share.realised.found, note)
