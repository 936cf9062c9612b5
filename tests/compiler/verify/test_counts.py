"""keys, cache and density: accepted, refuted, at lengths, and against counting."""

from __future__ import annotations

import numpy as np
import pytest

import patternc as pc
from patternc.compiler.bruteforce import mask
from patternc.compiler.verify.result import Result, Status


def verdict(text: str, direction: str = "causal") -> Result:
    [result] = pc.check(pc.loads(f"pattern p {direction} {{ {text} }}")["p"])
    return result


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("step local(5) prove keys <= 5", "causal"),
        ("step local(5) prove keys <= min(n, 5)", "causal"),
        ("step local(5) prove keys <= 2 * 5 - 1", "bidirectional"),
        ("step block(4) step fixed(4, 1) | self prove keys <= 4 + n div 4", "causal"),
        ("step columns(first(3)) prove keys <= 3", "cross"),
        ("step columns(last(3)) prove keys <= max(3, nk - nq)", "cross"),
        ("step not local(2) prove keys <= max(0, n - 2)", "bidirectional"),
        ("step columns(first(2)) | local(7) prove cache <= 9", "causal"),
        ("step columns(first(2)) | local(7) prove cache <= min(n, 9)", "causal"),
        ("step strided(4) prove cache <= n", "causal"),
        ("step dilate(local(3), 4) prove cache <= 9", "causal"),
        ("step pooled(4) | local(4) prove keys <= 4 + n div 4", "causal"),
        (
            "step { (i, j) : abs(i.x - j.x) <= 1 and abs(i.y - j.y) <= 1 } prove keys <= 9",
            "bidirectional grid(y, x = 8)",
        ),
    ],
)
def test_proved(text: str, direction: str) -> None:
    assert (
        verdict(text.replace("last(3)", "{ j : j >= nk - 3 }") if direction == "cross" else text, direction).status
        is Status.PROVED
    )


@pytest.mark.parametrize(
    ("text", "direction", "help"),
    [
        ("step local(5) prove keys <= 4", "causal", "the greatest count is min(5, n)"),
        ("step local(5) prove keys <= n - 1", "causal", "the greatest count is min(5, n)"),
        ("step columns(first(2)) | local(7) prove cache <= 8", "causal", "the greatest count is min(9, n)"),
        ("step everything prove keys <= nk - 1", "cross", "the greatest count is nk"),
        ("step strided(4) prove cache <= n - 9", "causal", "the bound that is known is n"),
        # What may attend need not attend together: two tokens are chosen, and their blocks are 8 keys.
        (
            "learn a = topk(k = 2) step { (i, j) : j div 4 in a } prove keys <= 3",
            "causal",
            "the bound that is known is n",
        ),
        ("step local(2) prove keys <= -1", "causal", ""),
        # Each key is asked of another query: the bound of one query says nothing.
        ("learn a = topk_keys(k = 1, tile = 1) step { (i, j) : (j, j) in select(a) } prove keys <= 1", "causal", ""),
    ],
)
def test_refuted(text: str, direction: str, help: str) -> None:
    found = verdict(text, direction)
    assert found.status is Status.REFUTED
    assert found.witness is not None and found.witness.key is None
    assert help in found.help


def test_witnesses_count() -> None:
    found = verdict("step block(6) | fixed(6, 2) prove keys <= 7")
    pattern = pc.loads("pattern p causal { step block(6) | fixed(6, 2) }")["p"].bound
    assert found.witness is not None
    row = mask(pattern.union, pattern.direction, found.witness.n)[found.witness.query]
    assert row.sum() == 8
    assert "attends to 8 keys; the claim allows 7" in found.explanation


@pytest.mark.parametrize(
    ("text", "direction", "status"),
    [
        ("step local(5) prove density <= 51.5% at n = 16", "causal", Status.CHECKED),
        ("step local(5) prove density <= 52% at n = 16", "causal", Status.CHECKED),
        ("step local(5) prove density <= 51.4% at n = 16", "causal", Status.REFUTED),
        ("step block(4) prove density <= 25% at n = 16", "bidirectional", Status.CHECKED),
        ("step block(4) prove density <= 24.9% at n = 16", "bidirectional", Status.REFUTED),
        ("step columns(first(1)) prove density <= 10% at nq = 7, nk = 10", "cross", Status.CHECKED),
        ("step columns(first(1)) prove density <= 9.9% at nq = 7, nk = 10", "cross", Status.REFUTED),
        ("step local(64) prove density <= 0.1% at n = 1048576", "causal", Status.CHECKED),
        ("step local(64) prove density <= 0.01% at n = 1048576", "causal", Status.REFUTED),
        ("step pooled(4) prove density <= 25% at n = 64", "bidirectional", Status.CHECKED),
    ],
)
def test_density(text: str, direction: str, status: Status) -> None:
    if "51." in text:
        i, j = np.indices((16, 16))
        assert 0.514 < ((i - j < 5) & (j <= i)).sum() / 136 < 0.515
    found = verdict(text, direction)
    assert found.status is status
    if status is Status.REFUTED:
        assert "of the pairs attend (" in found.explanation


def test_density_of_what_is_selected() -> None:
    bounded = "learn hot = topk_blocks(k = 2, block = 4) step select(hot)"
    assert verdict(f"{bounded} prove density <= 30% at n = 64").status is Status.CHECKED  # at most 8 keys each
    refuted = verdict(f"{bounded} prove density <= 10% at n = 64")
    assert (refuted.status, "when `hot` chooses" in refuted.explanation) == (Status.REFUTED, True)


def test_a_cache_holds_what_some_later_query_reads() -> None:
    """logsparse (Li et al. 2019): the live keys at n = 512 are those of the catalogue, n / 2 + 1."""
    text = "step { (i, j) : i = j or exists k in 0..8 : i - j = 2^k } prove cache <= 257 at n = 512"
    assert verdict(text).status is Status.CHECKED
    assert verdict(text.replace("257", "256")).status is Status.REFUTED


def test_density_of_a_table_that_is_too_long_to_draw() -> None:
    """What the table may draw is no more than an upper bound: it proves, and refutes nothing."""
    at_most = verdict("step random(2) | self prove density <= 10% at n = 100000")
    assert (at_most.status, "at most, whatever a seeded table draws" in at_most.explanation) == (Status.UNKNOWN, True)
    assert verdict("step random(2) & local(9) prove density <= 10% at n = 100000").status is Status.CHECKED


def test_a_density_of_what_has_no_closed_form_is_counted_one_by_one() -> None:
    step = "step transpose(dilate(band(1, 3), 2)) | (gated dilate(fixed(5, 1), 3))"
    small = verdict(f"{step} prove density <= 75% at nq = 2, nk = 2", "cross")
    assert small.status is Status.CHECKED  # three of four pairs, the gate open
    great = verdict(f"{step} prove density <= 1% at nq = 100000, nk = 100000", "cross")
    assert great.status is Status.UNKNOWN


def test_a_ratio_from_python_is_the_one_that_is_written() -> None:
    text = "pattern p(d: ratio) bidirectional { step { (i, j) : 10 * i + j < 29 } prove density <= d at n = 10 }"
    for given in (0.29, "29%"):
        [found] = pc.check(pc.loads(text)["p"].bind(d=given))
        assert found.status is Status.CHECKED


UNCOUNTABLE = "step blocks(block(3), 5) | { (i, j) : (3 * i + j) mod 7 in {1, 4} } | { (i, j) : (i - j) mod 11 = 3 }"
"""Its keys have no closed form within the budget."""


@pytest.mark.parametrize("claim", ["keys <= n", "keys <= 2 * n - 1", "cache <= n"])
def test_a_bound_that_all_tokens_keep_to_needs_no_count(claim: str) -> None:
    assert verdict(f"{UNCOUNTABLE} prove {claim}").status is Status.PROVED


def test_summaries_are_keys_beside_the_tokens() -> None:
    """All tokens and a summary of each pair of them: more keys than tokens."""
    assert verdict("step everything | pooled(2) prove keys <= n").status is Status.REFUTED
    assert verdict("step everything | pooled(1) prove keys <= n").status is Status.REFUTED
