"""A proof of one claim, for every length."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from ...patterns_dsl import syntax
from ...patterns_dsl.diagnostics.diagnostic import Fix
from ...patterns_dsl.diagnostics.source import Span
from ...patterns_dsl.syntax import Claim, Direction, Reach
from ..effort import TooLong, allowance
from ..relations.count import Uncountable
from ..relations.isl.context import BudgetExceeded, budget
from ..relations.relation import lengths
from ..relations.settle import Extent
from . import realise
from .properties import causal, inclusion, keys, nonempty, reach, symmetric
from .properties.violations import Violations
from .realise import Realised
from .result import Result, Status, Witness
from .subject import Subject

_SCANNED = (*range(1, 25), 32, 48, 64, 100, 200, 300)
"""Lengths that are tried by brute force where there is no proof for every length."""

_UNEQUAL = 8
"""Up to here every two lengths of a cross pattern are tried, not the same alone."""

COUNTING = 20
"""Counting keys on a grid takes many small set operations, no hard ones: so many times the budget of a proof."""

_WORDS, _FEW_WORDS = 2**26, 2**18
"""Places that may be looked at to say in words what a witness shows; fewer where time is short."""


class Disagreement(RuntimeError):
    """The proof and the brute-force evaluator contradict each other: a bug in patternc, never in the pattern."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One claim about one pattern. ``operations`` bounds the set computations; ``thorough``: whether a repair of what
    is refuted is looked for, which may take longer than the proof, and words for it that take long."""

    claim: Claim
    subject: Subject
    operations: int
    thorough: bool = True

    def for_every_length(self) -> Result:
        try:
            with budget(self.operations * self.weight):
                found = self.violations()
                point = found.points.smallest(lengths(self.subject.direction))
        except BudgetExceeded:
            return self.scan("the proof ran out of its budget")
        except Uncountable as error:
            return self.scan(f"there is no closed form: {error}")
        if point is not None:
            return self.violated(witness_at(point), exact=found.exact)
        return self.holds() if found.complete else self.without_end()

    @property
    def weight(self) -> int:
        return COUNTING if isinstance(self.claim, syntax.Keys | syntax.Cache) else 1

    def violations(self) -> Violations:
        """The places where the claim fails. Raises BudgetExceeded, and Uncountable where keys have no closed form."""
        match self.claim:
            case syntax.Nonempty():
                return nonempty.violations(self.claim, self.subject)
            case syntax.Causal():
                return causal.violations(self.claim, self.subject)
            case syntax.Symmetric():
                return symmetric.violations(self.claim, self.subject)
            case syntax.Reach():
                return reach.violations(self.claim, self.subject)
            case syntax.Subset() | syntax.Equal() | syntax.Disjoint():
                return inclusion.violations(self.claim, self.subject)
            case syntax.Keys() | syntax.Cache():
                return keys.violations(self.claim, self.subject)
            case syntax.Density():
                raise TypeError("a density is of a stated length")

    # --- what was found ---

    def holds(self) -> Result:
        """There is no violation at all."""
        return self.all_connected(", for every length") if self.negated else self.verdict(Status.PROVED)

    def all_connected(self, when: str) -> Result:
        """``not reach``, and everything that may attend connects every pair: that refutes it only where what must
        attend does so too."""
        if self.open or self.by_table:
            return self.verdict(Status.UNKNOWN, note=f"some choice of {self.named} may connect every pair")
        return self.verdict(Status.REFUTED, note=f"every pair is connected{when}")

    def without_end(self) -> Result:
        """A claim about any number of steps, of which only an upper bound of the closure is known: it is full."""
        steps = reach.enough(self.subject, Extent.MAY if self.negated else Extent.MUST)
        if steps is None:
            return self.scan("an upper bound of the transitive closure is full")
        return self.all_connected(f" after {steps} steps, for every length")

    def violated(self, found: Witness, *, exact: bool = True) -> Result:
        """A place where the claim fails on its bounds."""
        from .oracle import claims as oracle  # arrays, which a claim that is simply proved does without

        try:
            confirmed = oracle.confirms(self.claim, self.subject.pattern, found)
        except TooLong:
            if self.open and not self.negated:
                return self.realised(found)
            note = f"a counterexample at {found} is too long to confirm by brute force; try it with smaller parameters"
            return self.verdict(Status.UNKNOWN, note=note)
        if not confirmed and exact and not self.by_table:
            raise Disagreement(f"{self.claim.span.text!r}: brute force does not confirm the counterexample at {found}")
        if self.negated:
            why = "the seeded table" if self.by_table else "some number of steps"
            return self.shown(found) if confirmed else self.scan(f"{why} connects the pair that was found")
        if confirmed and not self.open:
            return self.refuted(Realised(found, "", {}))
        return self.realised(found)

    def realised(self, hint: Witness) -> Result:
        """Refuted, where some real choice fails at the hint or at a small length."""
        real = realise.realise(self.claim, self.subject.pattern, hint)
        return self.undecided(hint) if real is None else self.refuted(real)

    def scan(self, why: str) -> Result:
        """No proof for every length: look for a violation at small ones, which refutes a claim and proves its
        negation."""
        longest = 0
        cross = self.subject.direction is Direction.CROSS
        unequal = [pair for pair in product(range(1, _UNEQUAL + 1), repeat=2) if cross and pair[0] != pair[1]]
        for n, nk in sorted([*unequal, *((n, n) for n in _SCANNED)], key=max):
            try:
                found = self.at(n, nk if cross else None)
            except TooLong:
                break
            longest = max(n, nk)
            if found is not None:
                return self.shown(found.found) if self.negated else self.refuted(found)
        note = f"{why}; no violation at the lengths up to {longest} that were tried"
        return self.verdict(Status.UNKNOWN, note=note)

    def at(self, n: int, nk: int | None) -> Realised | None:
        """A violation at a length: for ``not reach`` a pair that no choice connects, else a real one. Raises
        TooLong."""
        from .oracle import claims as oracle

        if not self.negated:
            return realise.at_length(self.claim, self.subject.pattern, n, nk)
        found = oracle.first_violation(self.claim, self.subject.pattern, n, nk)
        return None if found is None else Realised(found, "", "may")

    # --- what the claim is about ---

    @property
    def negated(self) -> bool:
        return isinstance(self.claim, Reach) and self.claim.negated

    @property
    def open(self) -> bool:
        """Whether something is chosen at run time in what the claim speaks of."""
        return bool(realise.sources(self.claim, self.subject.pattern))

    @property
    def by_table(self) -> bool:
        return realise.by_table(self.claim, self.subject.pattern)

    @property
    def named(self) -> str:
        sources = realise.sources(self.claim, self.subject.pattern)
        return " and ".join(f"`{one.source}`" for one in sources) or "a seeded table"

    # --- verdicts ---

    def shown(self, found: Witness, status: Status = Status.PROVED) -> Result:
        """``not reach``, by the pair that is not connected."""
        from .findings import witness

        with allowance(_WORDS):
            note = witness.explain(self.claim, self.subject, Realised(found, "", "may"))
        return self.verdict(status, found, note)

    def refuted(self, real: Realised) -> Result:
        from .findings import repair, witness

        with allowance(_WORDS if self.thorough else _FEW_WORDS):
            what = witness.explain(self.claim, self.subject, real)
            mended = repair.repair(self.claim, self.subject, real) if self.thorough else repair.Repair()
            span = witness.fault(self.claim, self.subject, real)
        return self.verdict(Status.REFUTED, real.found, what, mended.help, span, mended.fix)

    def undecided(self, hint: Witness) -> Result:
        if self.open:
            why = f"only what {self.named} choose{'s' * (self.named.count('`') == 2)} decides it"
        elif self.by_table:
            why = "only the seeded table decides it: state a length"
        else:
            why = "the counts are bounded from above only"
        return self.verdict(Status.UNKNOWN, note=f"{why}; a place that is not guaranteed: {hint}")

    def verdict(
        self,
        status: Status,
        found: Witness | None = None,
        note: str = "",
        help: str = "",
        span: Span | None = None,
        fix: Fix | None = None,
    ) -> Result:
        text = " ".join(self.claim.span.text.split()).removeprefix("prove ")
        return Result(self.claim, text, status, found, note, help, span, fix)


def witness_at(point: dict[str, int]) -> Witness:
    queries, keys = (point["nq"], point["nk"]) if "nq" in point else (point["n"], None)
    return Witness(queries, point["i"], point.get("j"), keys)
