"""Each property: a pattern that it accepts and one that it refutes, and what is said about it."""

from __future__ import annotations

import numpy as np
import pytest

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.effort import TooLong, allowance
from patternc.compiler.examine import complaint
from patternc.compiler.relations.isl.context import PROOF_OPERATIONS, budget
from patternc.compiler.verify import proof, prove
from patternc.compiler.verify.oracle import claims as oracle
from patternc.compiler.verify.result import Result, Status, Witness


def results(text: str, direction: str = "causal", **arguments: object) -> tuple[Result, ...]:
    module = pc.loads(f"pattern p(w: int = 3) {direction} {{\n    {text}\n}}\n", "p.pat")
    return pc.check(module["p"].bind(**arguments))


def verdict(text: str, direction: str = "causal", **arguments: object) -> Result:
    [result] = results(text, direction, **arguments)
    return result


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("step local(w) prove nonempty", "causal"),
        ("step columns(first(1)) prove nonempty", "cross"),
        ("step band(w, 0) prove causal", "bidirectional"),
        ("step block(w) step fixed(w, 1) | self prove reach in 2 steps", "causal"),
        ("step global(first(1)) prove reach in 2 steps", "bidirectional"),
        ("step local(w) prove self <= local(w)", "causal"),
        ("step a = local(2) step b = strided(2) prove causal = a @ b", "causal"),
        ("step columns({ n - 2, n - 1 }) prove columns(last(2)) = columns({ j : n - 2 <= j })", "bidirectional"),
        ("step { (i, j) : -2 * i >= -2 * j - 9 } prove nonempty", "causal"),
        ("step strided(w) prove not reach in 4 steps", "causal"),
        ("step strided(w) prove not reach", "causal"),
    ],
)
def test_proved(text: str, direction: str) -> None:
    assert verdict(text, direction).status is Status.PROVED


@pytest.mark.parametrize(
    ("text", "direction", "witness"),
    [
        ("step fixed(w, 1) prove nonempty", "causal", Witness(1, 0)),
        ("step { (i, j) : i < nk - 4 } prove nonempty", "cross", Witness(1, 0, keys=1)),
        ("step local(w) prove causal", "bidirectional", Witness(2, 0, 1)),
        ("step local(w) prove reach in 2 steps", "causal", Witness(6, 5, 0)),
        ("step local(w) prove local(w) <= self", "causal", Witness(2, 1, 0)),
        ("step local(w) prove self = local(2)", "causal", Witness(2, 1, 0)),
        ("step self prove { (i, j) : i < nk } = everything", "cross", Witness(2, 1, 0, keys=1)),
        # long witnesses are confirmed at their pair, not in the whole mask
        ("step local(1000000) prove reach in 1 step", "causal", Witness(1000001, 1000000, 0)),
        ("step block(4096) prove fixed(4096, 8) <= block(4096)", "causal", Witness(4097, 4096, 4088)),
    ],
)
def test_refuted(text: str, direction: str, witness: Witness) -> None:
    result = verdict(text, direction)
    assert (result.status, result.witness) == (Status.REFUTED, witness)


def test_the_negation_of_a_proved_claim_is_refuted() -> None:
    result = verdict("step causal prove not reach in 1 step")
    assert (result.status, result.witness) == (Status.REFUTED, None)
    assert result.explanation == "every pair is connected, for every length"


def test_a_closure_that_leaves_out_pairs_is_looked_at() -> None:
    """What isl calls the transitive closure of these two has no pair at n = 1, where (0, 0) is in both."""
    text = """pattern p bidirectional { step { (i, j) : not 0 <= i div 5 <= 4 } | self
        step { (i, j) : (i - j) mod 4 = 0 and (i div 4 - j div 4) mod 4 = 0 } prove not reach }"""
    [found] = pc.check(pc.loads(text)["p"])
    assert (found.status, str(found.witness)) == (Status.PROVED, "n = 2, i = 0, j = 1")


def test_never_reaching_is_refuted_by_a_number_of_steps() -> None:
    result = verdict("step a = block(4) step b = fixed(4, 1) | self prove not reach")
    assert (result.status, result.witness) == (Status.REFUTED, None)
    assert result.explanation == "every pair is connected after 2 steps, for every length"


@pytest.mark.parametrize(
    ("claim", "status"),
    [
        ("nonempty at n = 7", Status.CHECKED),
        ("nonempty at n = 10^6", Status.CHECKED),  # too long for brute force: the relation, at that length
        ("reach in 3 steps at n = 7", Status.CHECKED),
        ("reach in 2 steps at n = 7", Status.REFUTED),
        ("not reach in 2 steps at n = 7", Status.CHECKED),
        ("not reach in 3 steps at n = 7", Status.REFUTED),
        ("causal <= local(w) at n = 3", Status.CHECKED),
        ("causal <= local(w) at n = 10^6", Status.REFUTED),
        ("reach at n = 3", None),
    ],
)
def test_at_a_length(claim: str, status: Status | None) -> None:
    if status is None:
        with pytest.raises(pc.PatternError):
            verdict(f"step local(w) prove {claim}")
    else:
        assert verdict(f"step local(w) prove {claim}").status is status


def test_a_proof_out_of_budget_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "budget", lambda operations: budget(50))
    result = verdict("step local(w) | strided(w) prove reach in 2 steps", w=2)
    assert result.status is Status.UNKNOWN
    assert result.explanation.startswith("the proof ran out of its budget; no violation at the lengths up to")
    found = complaint(result)
    assert found is not None and found.code == "P310"
    # what brute force finds at a small length still refutes
    assert verdict("step local(w) prove reach in 2 steps").status is Status.REFUTED


def test_an_explosive_formula_ends() -> None:
    union = " | ".join(f"{{ (i, j) : exists k : i mod {m} = (j + k) mod {m + 1} }}" for m in (101, 103, 107, 109))
    for result in results(f"step {union} prove reach in 3 steps prove causal <= self @ ({union})"):
        assert result.status in (Status.PROVED, Status.REFUTED, Status.UNKNOWN)
    assert PROOF_OPERATIONS == 300_000


def test_disagreement_is_never_shown_as_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracle, "confirms", lambda claim, pattern, found, choice=None: False)
    with pytest.raises(prove.Disagreement, match="n = 1, i = 0"):
        verdict("step fixed(w, 1) prove nonempty")


def test_numbers_beyond_64_bits_are_exact() -> None:
    big = 2**62
    assert verdict(f"step {{ (i, j) : {big} * i >= 0 }} prove reach in 1 step at n = 16").status is Status.CHECKED


def test_a_part_of_the_mask_is_that_part() -> None:
    pattern = pc.loads("pattern p causal { step (local(3) @ strided(4)) - self | not fixed(3, 1) }")["p"].bound
    whole = bruteforce.mask(pattern.union, pattern.direction, 23)
    rows, columns = [3, 22, 0], [1, 1, 20]
    part = bruteforce.block(pattern.union, pattern.direction, 23, queries=rows, keys=columns)
    assert np.array_equal(part, whole[np.ix_(rows, columns)])
    with pytest.raises(TooLong), allowance(10**6):
        bruteforce.block(pattern.union, pattern.direction, 10**12, queries=[0], keys=[0])


@pytest.mark.parametrize(
    ("text", "help", "repaired"),
    [
        ("step fixed(w, 1) prove nonempty", "add `| self`", "step fixed(w, 1) | self prove nonempty"),
        (
            "step block(w) step fixed(w, 1) prove reach in 1 step",
            "it holds in 2 steps",
            "step block(w) step fixed(w, 1) prove reach in 2 steps",
        ),
        (
            "step strided(w) prove reach in 2 steps",
            "add `| local(2)` to every step: it then holds in 3 steps",
            "step strided(w) | local(2) prove reach in 3 steps",
        ),
    ],
)
def test_repairs_are_true(text: str, help: str, repaired: str) -> None:
    assert verdict(text).help == help
    assert verdict(repaired).status is Status.PROVED


def test_repairs_of_other_directions() -> None:
    assert verdict("step { (i, j) : j > i + 3 } prove nonempty", "cross").help == "add `| columns(first(1))`"
    assert verdict("step { (i, j) : j > i + 3 } | columns(first(1)) prove nonempty", "cross").status is Status.PROVED
    assert verdict("step local(w) prove causal", "bidirectional").help.startswith("declare the pattern `causal`")
    assert verdict("step local(w) prove causal", "cross").help == ""


GOLDEN = {
    "step summary = fixed(w, 1)\n    prove nonempty": """\
error[P302]: queries 0..1 attend to no key in step summary
 --> p.pat:2:20
  |
2 |     step summary = fixed(w, 1)
  |                    ^^^^^^^^^^^
3 |     prove nonempty
  |     -------------- `nonempty` does not hold
  = witness: n = 1, i = 0
  = help: add `| self`""",
    "step local(w)\n    prove reach in 2 steps": """\
error[P303]: `reach in 2 steps` does not hold
 --> p.pat:3:5
  |
3 |     prove reach in 2 steps
  |     ^^^^^^^^^^^^^^^^^^^^^^
  = witness: n = 6, i = 5, j = 0
  = 0 reaches 2 at step 1, 2 reaches 4 at step 2; nothing carries it on to 5""",
    "step local(2)\n    prove reach in 7 steps": """\
error[P303]: `reach in 7 steps` does not hold
 --> p.pat:3:5
  |
3 |     prove reach in 7 steps
  |     ^^^^^^^^^^^^^^^^^^^^^^
  = witness: n = 9, i = 8, j = 0
  = 0 reaches 1 at step 1, 1 reaches 2 at step 2, ..., 5 reaches 6 at step 6, 6 reaches 7 at step 7; \
nothing carries it on to 8""",
    "step local(w)\n    prove causal <= local(w)": """\
error[P304]: `causal <= local(w)` does not hold
 --> p.pat:3:5
  |
3 |     prove causal <= local(w)
  |     ^^^^^^^^^^^^^^^^^^^^^^^^
  = witness: n = 4, i = 3, j = 0
  = the pair (3, 0) is on the left side only""",
}


@pytest.mark.parametrize("text", GOLDEN)
def test_what_is_printed(text: str) -> None:
    found = complaint(verdict(text))
    assert found is not None
    assert found.render() == GOLDEN[text]
