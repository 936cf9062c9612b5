"""What is left open, settled from both sides and by real choices; brute force settles it by a walk of its own."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import patternc as pc
from patternc.compiler.bruteforce import Mask, mask
from patternc.compiler.relations.denote import denote
from patternc.compiler.relations.integer import evaluate
from patternc.compiler.relations.relation import Relation, universe
from patternc.compiler.relations.settle import Extent, choose, drawn, mentions_length, opens, settle

LEARNED = """
    learn important = importance()
    learn hot = topk_blocks(k = 3, block = 4)
    learn near = topk_keys(k = 2, tile = 2)
    learn some = topk(k = 2)
    learn detail = granularity(block = 4)
"""

OPEN = [
    "axis(important)",
    "local(3) | columns(important) | select(hot)",
    "local(5) - rows(important)",
    "(local(5) - select(near)) & not columns(some)",
    "not (columns(important) & local(2))",
    "{ (i, j) : not (j in important) or i = j }",
    "{ (i, j) : exists k : k in some and i - k = 2 and j = k }",
    "select(hot) @ columns(important)",
    "self | gated local(3) | gated columns(some)",
    "local(4) & document(ids)",
    "refine(detail) | self",
    "shift(select(near), 1) | transpose(document(ids))",
]


def bound(step: str, direction: str) -> pc.Pattern:
    return pc.loads(f"pattern p {direction} {{ {LEARNED} step {step} }}")["p"]


def closed(relation: Relation, n: int) -> Mask:
    predicate = relation.pairs.predicate(universe(relation.direction).pairs)
    i, j = np.arange(n)[:, None], np.arange(n)[None, :]
    inside = np.broadcast_to(evaluate(predicate, {"i": i, "j": j, "n": n}, np), (n, n))
    return inside & (j <= i) if relation.direction == "causal" else inside


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
@pytest.mark.parametrize("step", OPEN)
def test_bounds_and_choices(step: str, direction: str) -> None:
    pattern = bound(step, direction)
    expression = pattern.union.expression
    sources = opens(expression)
    assert sources
    for n in (1, 5, 13):
        must = mask(expression, pattern.direction, n, choice="must")
        may = mask(expression, pattern.direction, n, choice="may")
        for extent, expected in ((Extent.MUST, must), (Extent.MAY, may)):
            assert np.array_equal(closed(denote(settle(expression, extent), pattern.direction), n), expected)
        assert not (must & ~may).any()
        for numbers in product(*(range(len(one.examples)) for one in sources)):
            picks = {one.source: number for one, number in zip(sources, numbers, strict=True)}
            real = mask(expression, pattern.direction, n, choice=picks)
            assert np.array_equal(mask(choose(expression, picks), pattern.direction, n), real)
            assert not (must & ~real).any() and not (real & ~may).any()  # every choice lies between the bounds


def test_polarity() -> None:
    (one,) = opens(bound("local(3) - columns(important)", "causal").union.expression)
    assert (one.source, one.positive, one.negative) == ("important", False, True)
    (one,) = opens(bound("columns(important) - rows(important)", "causal").union.expression)
    assert (one.positive, one.negative) == (True, True)
    assert opens(bound("local(3)", "causal").union.expression) == ()


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("local(3) | columns(s)", False),
        ("columns(s) & { (i, j) : j < n - 2 }", True),
        ("gated { (i, j) : exists k : k < n and j = 2 * k } | select(s)", True),
        ("strided(4) | { (i, j) : j mod 3 = 0 }", False),
        ("columns(last(2))", True),
    ],
)
def test_whether_a_pattern_is_told_the_length(step: str, told: bool) -> None:
    learn = "learn s = topk_keys(k = 3)" if "select" in step else "learn s = topk(k = 3)"
    pattern = pc.loads(f"pattern p causal {{ {learn if '(s)' in step else ''} step {step} }}")["p"].bind()
    assert mentions_length(pattern.bound.union) is told


def test_a_mask_of_an_open_pattern_says_which() -> None:
    pattern = bound("local(2) | columns(some)", "causal")
    with pytest.raises(ValueError, match="`some` decides this mask"):
        pattern.mask(8)
    with pytest.raises(ValueError, match="decided by `some`"):
        _ = pattern.relation
    assert (
        pattern.mask(8, choice="must").sum()
        < pattern.mask(8, choice={"some": 0}).sum()
        < pattern.mask(8, choice="may").sum()
    )


@pytest.mark.parametrize(("direction", "block", "n"), [("causal", 1, 40), ("bidirectional", 4, 41), ("causal", 8, 64)])
def test_seeded_tables(direction: str, block: int, n: int) -> None:
    text = f"pattern p {direction} {{ step random(3, {block}, seed = 7) }}"
    pattern = pc.loads(text)["p"]
    assert drawn(pattern.union.expression) and not opens(pattern.union.expression)
    found = pattern.mask(n).numpy()
    blocks = -(-n // block)
    tiles = np.zeros((blocks, blocks), dtype=bool)
    for a, b in product(range(blocks), repeat=2):
        part = found[a * block : (a + 1) * block, b * block : (b + 1) * block]
        if direction == "bidirectional" or a > b:
            assert part.all() or not part.any()  # whole blocks
        tiles[a, b] = part.any()
    for a in range(blocks):
        assert tiles[a].sum() == min(3, a + 1 if direction == "causal" else blocks)
    assert np.array_equal(found, pattern.mask(n).numpy())
    other = pc.loads(text.replace("7", "8"))["p"].mask(n).numpy()
    assert not np.array_equal(found, other)


def mixed(x: int) -> int:
    """SplitMix64's output function on Python's integers."""
    z = (x + 0x9E3779B97F4A7C15) % 2**64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
    return z ^ (z >> 31)


def test_a_seeded_table_is_the_same_everywhere() -> None:
    """A change of the hash would change every pattern that draws."""
    found = pc.loads("pattern p bidirectional { step random(2, seed = 1) }")["p"].mask(6)
    rows = [row.nonzero().flatten().tolist() for row in found]
    for a, row in enumerate(rows):
        hashes = {b: mixed(mixed(mixed(1) ^ a) ^ b) for b in range(6)}
        assert row == sorted(sorted(hashes, key=hashes.__getitem__)[:2])
    assert mixed(0) == 0xE220A8397B1DCDAF  # the first output of SplitMix64 from state 0, as published
    assert rows[0] == [2, 5]
