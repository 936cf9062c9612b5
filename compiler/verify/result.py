"""What a proof returns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ...patterns_dsl.diagnostics.diagnostic import Fix
from ...patterns_dsl.diagnostics.source import Span
from ...patterns_dsl.syntax import Claim, PlanClaim


class Status(StrEnum):
    PROVED = "proved"  # for every length
    CHECKED = "checked"  # at the stated length only, by brute force
    REFUTED = "refuted"  # with a witness that the brute-force evaluator confirmed
    UNKNOWN = "unknown"  # the proof ran out of its budget, or only what is chosen at run time decides


@dataclass(frozen=True, slots=True)
class Witness:
    """A concrete instance: sequence length, query, and (where the claim is about pairs) key. A claim about a length as
    a whole has no query."""

    n: int
    query: int | None = None
    key: int | None = None
    keys: int | None = None
    """The number of keys, in a cross pattern; ``n`` is then that of queries."""

    def __str__(self) -> str:
        length = f"n = {self.n}" if self.keys is None else f"nq = {self.n}, nk = {self.keys}"
        query = "" if self.query is None else f", i = {self.query}"
        return length + query + ("" if self.key is None else f", j = {self.key}")


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict on one claim. For a refuted claim ``witness`` is a counterexample; for a proved ``not`` claim it is
    the example that proves it. ``explanation`` says in words what the witness shows; ``help`` a repair, where known."""

    claim: Claim | PlanClaim
    text: str  # the claim as written
    status: Status
    witness: Witness | None = None
    explanation: str = ""
    help: str = ""
    span: Span | None = None
    """Where the fault lies, if not in the claim itself: the step in which a query attends to no key."""
    fix: Fix | None = None
    """An edit that makes the claim true, where one is known."""
    warning: str = ""
    """What is true and still worth a thought: a claim that holds by many hops."""
