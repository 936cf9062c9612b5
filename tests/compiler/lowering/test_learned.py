"""What is known of a pattern with learned terms before anything is learned."""

from __future__ import annotations

import pytest

import patternc as pc
from patternc.compiler.lowering.learned import depends_on_length

LEARN = "learn hot = topk_blocks(k = 2, block = 7) learn few = topk(k = 3)"


@pytest.mark.parametrize(
    ("term", "grows"),
    [
        ("gated dilate(local(3), 5)", False),  # its text speaks of n
        ("select(hot) - strided(3)", False),
        ("columns(few) & block(11)", False),
        ("gated pooled(5)", False),
        ("columns(few) & { (i, j) : j < n - 2 }", True),
        ("columns(few) - { (i, j) : j + 3 > n }", True),
        ("select(hot) | gated { (i, j) : j >= n - 4 }", True),  # what is selected could hold it all
        ("columns(last(2)) | select(hot)", True),
    ],
)
def test_whether_rows_change_as_the_sequence_grows(term: str, grows: bool) -> None:
    bound = pc.loads(f"pattern p causal {{ {LEARN} step self | {term} }}")["p"].bind().bound
    assert depends_on_length(bound.union, bound.direction) is grows
