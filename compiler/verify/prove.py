"""prove: decide each claim of a pattern, for every length where the claim does not state one.

the places where the claim fails, on bounds, for every length  (one file per property)
    none         ->  PROVED
    a place      ->  confirmed by brute force  ->  REFUTED, with the selection under which it fails, where one is open
    no answer    ->  small lengths by brute force: a violation refutes, none proves nothing
"""

from __future__ import annotations

from ...patterns_dsl.syntax import Claim
from ..effort import allowance
from ..relations.isl.context import PROOF_OPERATIONS
from .findings.depth import with_warning
from .proof import Disagreement as Disagreement
from .proof import Proof
from .result import Result
from .stated import at_length
from .subject import Subject

MOST_PLACES = 2**27
"""What brute force may look at for one claim: a few seconds at most."""


def prove(claim: Claim, subject: Subject, operations: int = PROOF_OPERATIONS) -> Result:
    """The verdict on one claim. Raises Disagreement when a witness is not confirmed by brute force."""
    proof = Proof(claim, subject, operations)
    with allowance(MOST_PLACES):
        result = proof.for_every_length() if claim.at is None else at_length(proof, *claim.at.values)
        return with_warning(result, proof)
