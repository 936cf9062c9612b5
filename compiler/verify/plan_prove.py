"""Claims of plans: reach through layers and heads, and the cache of all layers together.

R_0 = I,   R_(l+1) = (union of the heads of layer l | I) @ R_l
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from ...patterns_dsl.syntax import Integer, PlanCache, PlanClaim, PlanReach
from ..effort import TooLong, allowance
from ..relations.count import Uncountable
from ..relations.functions import IntegerFunction
from ..relations.isl.context import PROOF_OPERATIONS, BudgetExceeded, budget
from ..relations.relation import Relation, lengths
from ..relations.settle import Extent
from .findings.depth import FEW
from .plan_subject import PlanSubject
from .proof import COUNTING, Disagreement, witness_at
from .properties.keys import exceeding, live_count, live_counts
from .properties.reach import through
from .properties.violations import Violations
from .prove import MOST_PLACES
from .result import Result, Status, Witness
from .subject import Subject

MOST_LAYERS = 64
"""Layers of `layers all` that are tried for a claim that names none."""

_OWN = "the model's own attention, in the layers and heads that no line names, may"

_SCANNED = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64, 96, 128)


def prove(claim: PlanClaim, subject: PlanSubject, operations: int = PROOF_OPERATIONS) -> Result:
    """The verdict on one claim. Raises Disagreement when a witness is not confirmed by brute force."""
    proof = _PlanProof(claim, subject, operations)
    with allowance(MOST_PLACES):
        return proof.with_warning(proof.result())


@dataclass(frozen=True, slots=True)
class _PlanProof:
    claim: PlanClaim
    subject: PlanSubject
    operations: int

    def result(self) -> Result:
        layers = self.layers
        if layers is None:
            layers = self.least_depth()
        if self.claim.at is not None:
            return self.at_length(self.layers, *self.claim.at.values)
        if layers is None:
            return self.scan("no number of layers was found that connects every pair of every length", None)
        try:
            weight = COUNTING if isinstance(self.claim, PlanCache) else 1
            with budget(self.operations * weight):
                found = self.violations(layers)
                point = found.points.smallest(lengths(self.subject.direction))
        except BudgetExceeded:
            return self.scan("the proof ran out of its budget", layers)
        except Uncountable as error:
            return self.scan(f"there is no closed form: {error}", layers)
        if point is not None:
            return self.violated(witness_at(point), layers, exact=found.exact)
        if not self.negated:
            return self.verdict(Status.PROVED, note="" if self.layers else f"after {layers} layers")
        by_gaps = self.subject.leaves_gaps and not self.connected_by_lines(layers)
        return self.all_connected(f" after {layers} layers, for every length", by_gaps=by_gaps)

    def with_warning(self, result: Result) -> Result:
        """The result, with a warning where a reach that holds takes more than a few layers."""
        layers = self.layers
        holds = result.status in (Status.PROVED, Status.CHECKED) and isinstance(self.claim, PlanReach)
        if not holds or self.negated or layers is None or layers <= FEW or self.in_few():
            return result
        return replace(result, warning=f"`{result.text}` holds, but not in {FEW} layers")

    def in_few(self) -> bool:
        from .oracle import plans as plan_oracle

        if self.claim.at is not None:
            try:
                return plan_oracle.first_violation(self.claim, self.subject, self.claim.at.values[0], FEW) is None
            except TooLong:
                return False
        try:
            with budget(self.operations):
                return self.violations(FEW).points.empty
        except BudgetExceeded:
            return False

    @property
    def negated(self) -> bool:
        return isinstance(self.claim, PlanReach) and self.claim.negated

    @property
    def layers(self) -> int | None:
        """How many layers the claim is about; None where neither it nor the plan says."""
        if isinstance(self.claim, PlanReach) and isinstance(self.claim.layers, Integer):
            return self.claim.layers.value
        return self.subject.depth

    def least_depth(self) -> int | None:
        """Of `layers all`, the least number of layers that connects every pair, if one does."""
        extent = Extent.MAY if self.negated else Extent.MUST
        try:
            with budget(self.operations):
                connected, idle = self.subject.identity, 0
                for layer in range(MOST_LAYERS):
                    further = self.subject.heard(layer, extent) @ connected
                    idle = idle + 1 if further.equals(connected) else 0
                    connected = further
                    if self.subject.universe <= connected:
                        return layer + 1
                    if idle >= self.subject.period and layer >= self.subject.lead:
                        break
        except BudgetExceeded:
            pass
        return None

    def violations(self, layers: int) -> Violations:
        """Raises BudgetExceeded, Uncountable."""
        if isinstance(self.claim, PlanCache):
            total, exact = self.live(layers, gaps=False)
            over = exceeding(total, self.claim.most, self.subject.direction)
            if over.empty and self.subject.leaves_gaps:  # what the lines keep does not refute it; may more be kept?
                over = exceeding(self.live(layers, gaps=True)[0], self.claim.most, self.subject.direction)
            return Violations(over, exact=exact)
        return Violations(self.missing(layers, Extent.MAY if self.negated else Extent.MUST).pairs)

    def missing(self, layers: int, extent: Extent) -> Relation:
        """The pairs that some run of so many layers does not connect. Raises BudgetExceeded."""
        assert isinstance(self.claim, PlanReach)
        missing: Relation = self.subject.universe - self.subject.universe
        done: set[tuple[int, ...]] = set()
        for start in self.subject.starts(layers, any_run=self.claim.any_run):
            run = self.subject.kinds(layers, start)
            if run not in done:
                done.add(run)
                relations = (self.subject.heard(start + layer, extent) for layer in range(layers))
                missing = missing | (self.subject.universe - through(self.subject.identity, relations, layers))
        return missing

    def live(self, layers: int, *, gaps: bool) -> tuple[IntegerFunction, bool]:
        """The live keys of all layers together, over i, and whether the count is exact. ``gaps``: with those that the
        model's own attention may keep."""
        kinds = self.subject.kinds(layers)
        total, exact = None, True
        for kind, times in Counter(kinds).items():
            layer = kinds.index(kind)
            merged = self.subject.merged(layer)
            if gaps and self.subject.passed_over(layer):
                counts = live_count(self.subject.universe)
            elif merged is None:
                continue
            else:
                counts = live_counts(Subject(merged))
            function = counts.function * times
            total = function if total is None else total + function
            exact = exact and counts.exact
        assert total is not None, "a line names a layer"
        return total, exact

    # --- by brute force ---

    def violated(self, found: Witness, layers: int, *, exact: bool) -> Result:
        from .oracle import plans as plan_oracle  # arrays: only what is not simply proved pays for them

        try:
            confirmed = plan_oracle.confirms(self.claim, self.subject, found, layers)
        except TooLong:
            note = f"a counterexample at {found} is too long to confirm by brute force"
            return self.verdict(Status.UNKNOWN, note=note)
        if not confirmed and exact and not self.subject.by_table:
            raise Disagreement(f"{self.claim.span.text!r}: brute force does not confirm the counterexample at {found}")
        if not confirmed:
            table = "only the seeded table decides it: state a length"
            return self.scan(table if self.subject.by_table else "the live keys are bounded from above only", layers)
        return self.shown(found, layers)

    def shown(self, found: Witness, layers: int | None, proved: Status = Status.PROVED) -> Result:
        from .oracle import plans as plan_oracle

        if self.negated:
            return self.verdict(proved, found, f"{found.query} does not hear of {found.key}")
        if self.subject.open:  # a violation on the bounds: no choice need lead to it
            note = f"only what is selected at run time decides it; a place that is not guaranteed: {found}"
            return self.verdict(Status.UNKNOWN, note=note)
        if isinstance(self.claim, PlanCache):
            if not plan_oracle.confirms(self.claim, self.subject, found, self.subject.distinct, gaps=False):
                return self.verdict(Status.UNKNOWN, note=f"{_OWN} keep every key")
            return self.verdict(Status.REFUTED, found, f"at query {found.query} more keys can still be read")
        which = "any number of layers" if layers is None else f"{layers} layers"
        return self.verdict(Status.REFUTED, found, f"{found.query} does not hear of {found.key} in {which}")

    def at_length(self, layers: int | None, n: int) -> Result:
        from .oracle import plans as plan_oracle

        try:
            found = plan_oracle.first_violation(self.claim, self.subject, n, layers)
        except TooLong as error:
            return self.verdict(Status.UNKNOWN, note=str(error))
        if found is not None:
            return self.shown(found, layers, Status.CHECKED)
        if not (isinstance(self.claim, PlanReach) and self.claim.negated):
            return self.verdict(Status.CHECKED)
        without = replace(self.claim, negated=False)  # counts on what must attend
        gaps = plan_oracle.first_violation(without, self.subject, n, layers) is not None
        return self.all_connected(f" at n = {n}", by_gaps=gaps and self.subject.leaves_gaps)

    def connected_by_lines(self, layers: int) -> bool:
        """Whether what lines name connects every pair, for every length; no where that is not found out."""
        try:
            with budget(self.operations):
                return self.missing(layers, Extent.MUST).pairs.empty
        except BudgetExceeded:
            return False

    def all_connected(self, when: str, *, by_gaps: bool) -> Result:
        """``not reach``, and all that may attend connects every pair. ``by_gaps``: the model's own attention has a part
        in it."""
        if by_gaps and not self.subject.open:
            return self.verdict(Status.UNKNOWN, note=f"{_OWN} connect every pair")
        if self.subject.open or (self.subject.by_table and self.claim.at is None):
            return self.verdict(Status.UNKNOWN, note="some selection may connect every pair")
        return self.verdict(Status.REFUTED, note=f"every pair is connected{when}")

    def scan(self, why: str, layers: int | None) -> Result:
        from .oracle import plans as plan_oracle

        longest = 0
        for n in _SCANNED:
            try:
                found = plan_oracle.first_violation(self.claim, self.subject, n, layers)
            except TooLong:
                break
            longest = n
            if found is not None:
                return self.shown(found, layers)
        return self.verdict(Status.UNKNOWN, note=f"{why}; no violation at the lengths up to {longest} that were tried")

    def verdict(self, status: Status, found: Witness | None = None, note: str = "") -> Result:
        text = " ".join(self.claim.span.text.split()).removeprefix("prove ")
        return Result(self.claim, text, status, found, note)
