"""Claims about patterns whose selections are made at run time: proved whatever is chosen, refuted by a real choice."""

from __future__ import annotations

import pytest

import patternc as pc
from patternc.compiler.verify.result import Result, Status

LEARNED = """
    learn important = importance()
    learn hot = topk_blocks(k = 2, block = 4)
    learn bare = topk_keys(k = 2, tile = 1, forced = [])
    learn shared = topk_keys(k = 2, tile = 4, forced = [])
    learn some = topk(k = 3)
    learn detail = granularity(block = 4)
    learn coarse = granularity(block = 4, levels = [coarse, fine])
"""


def verdict(step: str, claim: str, direction: str = "causal") -> Result:
    learned = LEARNED if direction != "cross" else ""
    [result] = pc.check(pc.loads(f"pattern p {direction} {{ {learned} step {step} prove {claim} }}")["p"])
    return result


@pytest.mark.parametrize(
    ("step", "claim", "direction"),
    [
        ("local(2) | columns(important)", "nonempty", "causal"),
        ("select(hot)", "nonempty", "causal"),  # its own block is always chosen
        ("select(hot)", "causal", "causal"),
        ("global(first(1)) | axis(important)", "reach in 2 steps", "bidirectional"),
        ("refine(coarse)", "reach in 1 step", "bidirectional"),  # nothing is skipped
        ("refine(detail)", "nonempty", "bidirectional"),
        ("self | gated local(3)", "keys <= 3", "causal"),
        ("columns(some) | self", "keys <= 4", "causal"),
        ("select(bare) & local(9)", "keys <= 2", "causal"),
        ("local(3) | pooled(4) | select(hot)", "keys <= 3 + 8 + n div 4", "causal"),
        ("columns(some)", "keys <= n", "causal"),
        ("block(4) & document(ids)", "nonempty", "causal"),
        ("block(4) & document(ids)", "cache <= 4", "causal"),
        ("self | gated strided(2)", "not reach", "causal"),
        ("local(3) - columns(important)", "keys <= 3", "causal"),
        ("self", "select(hot) & local(3) <= local(3)", "causal"),
        ("self", "disjoint(columns(some) - local(2), self)", "causal"),
        ("blocks(local(2) | global(first(1)), 2) | random(1, 2)", "reach in 2 steps", "bidirectional"),
        ("self | random(2)", "nonempty", "causal"),
    ],
)
def test_proved_whatever_is_chosen(step: str, claim: str, direction: str) -> None:
    found = verdict(step, claim, direction)
    assert (found.status, found.witness is None) == (Status.PROVED, "not reach" not in claim), found


@pytest.mark.parametrize(
    ("step", "claim", "direction", "words"),
    [
        ("columns(important)", "nonempty", "causal", "when `important` chooses nothing"),
        ("gated local(3)", "nonempty", "causal", "when `gated local(3)` is closed"),
        ("local(2) | axis(important)", "reach in 2 steps", "bidirectional", "only through learned selections"),
        ("local(2) | select(hot)", "reach in 1 step", "causal", "when `hot` chooses the first 2 blocks"),
        ("select(hot) | self", "keys <= 4", "causal", "when `hot` chooses the"),
        ("refine(detail)", "reach in 9 steps", "bidirectional", "when `detail` skips all it may"),
        ("self", "columns(some) <= local(2)", "causal", "when `some` chooses the first 3 tokens"),
        ("self", "disjoint(columns(important), self)", "causal", "when `important` chooses every token"),
        ("local(2) & document(ids)", "reach in 3 steps at n = 3", "causal", "holds a document for each token"),
        ("random(1)", "symmetric", "bidirectional", "not the other way round"),
        ("random(1) | self", "reach in 1 step", "causal", ""),
    ],
)
def test_refuted_by_a_choice_that_can_occur(step: str, claim: str, direction: str, words: str) -> None:
    found = verdict(step, claim, direction)
    assert (found.status, words in found.explanation) == (Status.REFUTED, True), found


@pytest.mark.parametrize(
    ("step", "claim", "direction", "named"),
    [
        ("axis(important)", "symmetric", "bidirectional", "important"),  # it is, but bounds cannot tell
        ("select(bare)", "nonempty", "causal", "bare"),
        ("self", "select(hot) <= select(hot)", "causal", "hot"),
        ("self | gated everything", "not reach", "causal", "gated everything"),
        ("self | gated everything", "not reach at n = 4", "causal", "gated everything"),
        # Two blocks are chosen where there are two, and no key that is beyond the end of the sequence.
        ("select(hot)", "reach in 1 step at n = 8", "bidirectional", "hot"),
        ("select(bare)", "reach in 1 step at n = 2", "bidirectional", "bare"),
        ("select(shared)", "nonempty at n = 2", "causal", "shared"),
    ],
)
def test_what_only_the_selection_decides_is_not_decided(step: str, claim: str, direction: str, named: str) -> None:
    found = verdict(step, claim, direction)
    assert (found.status, named in found.explanation) == (Status.UNKNOWN, True), found


def test_documents_are_not_called_learned() -> None:
    found = verdict("local(2) & document(ids)", "reach in 3 steps at n = 3")
    assert "learned" not in found.explanation
