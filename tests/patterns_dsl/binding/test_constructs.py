"""Each construct of the language against its definition, written in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import patternc as pc
from patternc.compiler.bruteforce import Mask, mask

Index = np.ndarray[Any, np.dtype[np.int64]]
LENGTHS = (1, 2, 5, 12, 25)


def local(i: Index, j: Index, w: int) -> Mask:
    return abs(i - j) < w


def in_blocks(i: Index, j: Index, n: int) -> Mask:
    """A window of two blocks of 4, and the last block, which all blocks see."""
    return (abs(i // 4 - j // 4) < 2) | (j // 4 == (n + 3) // 4 - 1)


def two_block_hops(i: Index, j: Index, n: int) -> Mask:
    """Block a reaches b over a block k that is there, with k = a + 2 and b = k - 1."""
    a, b = i // 3, j // 3
    return (b == a + 1) & (a + 2 < (n + 2) // 3)


def in_classes(i: Index, j: Index, n: int) -> Mask:
    """Within a residue class mod 3, of which the last two tokens are seen by all of it."""
    length = (n - i % 3 + 2) // 3
    return (i % 3 == j % 3) & (j // 3 >= length - 2)


# (direction, rest of the header, step, definition over i, j, n)
CONSTRUCTS: list[tuple[str, str, str, Callable[[Index, Index, int], Mask]]] = [
    ("bidirectional", "", "transpose({ (i, j) : j = 2 * i })", lambda i, j, n: i == 2 * j),
    ("causal", "", "transpose(local(3))", lambda i, j, n: i == j),  # every rule is meant within j <= i
    ("bidirectional", "", "shift(local(2), 3)", lambda i, j, n: (abs(i - j - 3) < 2) & (j + 3 < n)),
    ("causal", "", "shift(self, 2)", lambda i, j, n: i - j == 2),
    ("bidirectional", "", "blocks(local(2) | columns(last(1)), 4)", in_blocks),
    ("bidirectional", "", "blocks({ (i, j) : j = i + 2 } , 3) @ self", lambda i, j, n: j // 3 == i // 3 + 2),
    ("bidirectional", "", "blocks({ (i, k) : k = i + 2 } @ { (k, j) : j = k - 1 }, 3)", two_block_hops),
    ("bidirectional", "", "blocks(not self, 4)", lambda i, j, n: i // 4 != j // 4),
    (
        "bidirectional",
        "",
        "blocks({ (i, j) : exists k : k = i + 1 and j = 0 }, 5)",
        lambda i, j, n: (j // 5 == 0) & (i // 5 + 1 < (n + 4) // 5),
    ),
    ("bidirectional", "", "dilate(columns(last(2)), 3)", in_classes),
    ("causal", "", "dilate(local(3), 4)", lambda i, j, n: np.isin(i - j, [0, 4, 8])),
    ("causal", "", "pooled(4)", lambda i, j, n: (j // 4 + 1) * 4 <= i + 1),
    ("bidirectional", "", "pooled(4)", lambda i, j, n: (j // 4 + 1) * 4 <= n),
    (
        "bidirectional",
        "grid(y, x = 4)",
        "{ (i, j) : i.x = j.x and i.y <= j.y }",
        lambda i, j, n: (i % 4 == j % 4) & (i // 4 <= j // 4),
    ),
    (
        "bidirectional",
        "grid(t, y = 2, x = 3)",
        "{ (i, j) : i.t = j.t and i.y != j.y and (i + 1).x = j.x }",
        lambda i, j, n: (i // 6 == j // 6) & (i // 3 % 2 != j // 3 % 2) & ((i + 1) % 3 == j % 3),
    ),
    ("bidirectional", "", "{ (i, j) : abs(i - j) = 2 }", lambda i, j, n: abs(i - j) == 2),
    ("bidirectional", "", "{ (i, j) : 2 <= abs(i - j) < 5 }", lambda i, j, n: (abs(i - j) >= 2) & (abs(i - j) < 5)),
    ("bidirectional", "", "{ (i, j) : j = min(i + 2, n - 1) }", lambda i, j, n: j == np.minimum(i + 2, n - 1)),
    (
        "bidirectional",
        "",
        "{ (i, j) : not max(i, 3, 2 * j) = 4 }",
        lambda i, j, n: np.maximum(np.maximum(i, 3), 2 * j) != 4,
    ),
    (
        "bidirectional",
        "",
        "{ (i, j) : abs(j - max(1, min(i, n - 2))) <= 1 }",
        lambda i, j, n: abs(j - np.maximum(1, np.minimum(i, n - 2))) <= 1,
    ),
    (
        "bidirectional",
        "",
        "{ (i, j) : abs(i - j) mod 4 = 1 and -abs(j - 2) > -3 }",
        lambda i, j, n: (abs(i - j) % 4 == 1) & (-abs(j - 2) > -3),
    ),
    ("bidirectional", "", "columns({ t : abs(t - 5) in {0, 2..3} })", lambda i, j, n: np.isin(abs(j - 5), [0, 2, 3])),
    ("bidirectional", "", "{ (i, j) : (j, i) in local(2) - self }", lambda i, j, n: abs(i - j) == 1),
    ("bidirectional", "", "{ (i, j) : (i + 1, j) in self }", lambda i, j, n: (j == i + 1) & (i + 1 < n)),
    (
        "causal",
        "",
        "{ (i, j) : (j, i) in self or (i - 1, j) in local(2) }",
        lambda i, j, n: (i == j) | np.isin(i - j, [1, 2]),
    ),
    ("causal", "", "{ (i, j) : (i, j) in not (local(2) & strided(2)) }", lambda i, j, n: i != j),
    (
        "bidirectional",
        "",
        "{ (i, j) : (i, j) in { (i, k) : k = i + 1 } @ { (k, j) : j = k + 1 } }",
        lambda i, j, n: j == i + 2,
    ),
    ("cross", "", "{ (i, j) : j = nk - nq + i }", lambda i, j, n: j == i),
    ("cross", "", "columns(first(2)) | rows({ t : t = nq - 1 })", lambda i, j, n: (j < 2) | (i == n - 1)),
]


@pytest.mark.parametrize(("direction", "header", "step", "definition"), CONSTRUCTS)
def test_definition(direction: str, header: str, step: str, definition: Callable[[Index, Index, int], Mask]) -> None:
    pattern = pc.loads(f"pattern p {direction} {header} {{ step {step} }}")["p"].bound
    for n in LENGTHS:
        i, j = np.arange(n)[:, None], np.arange(n)[None, :]
        expected = definition(i, j, n) & ((j <= i) if direction == "causal" else True)
        found = mask(pattern.union, pattern.direction, n, n if direction == "cross" else None)
        assert np.array_equal(found, np.broadcast_to(expected, (n, n))), n


def test_relations_as_parameters() -> None:
    text = """
    rule twice(r: relation) = r @ r
    rule apart(r: relation, s: relation = self) = r - s
    pattern p(r: relation = local(3)) bidirectional { step twice(apart(r)) | apart(r, strided(2)) }
    """
    pattern = pc.loads(text)["p"]
    for argument, steps in ((None, (-2, -1, 1, 2)), ("local(2)", (-1, 1))):
        bound = pattern.bind(**({} if argument is None else {"r": argument}))
        i, j = np.arange(12)[:, None], np.arange(12)[None, :]
        once = np.isin(i - j, steps)
        twice = (once.astype(int) @ once.astype(int)) > 0
        expected = twice | (np.isin(i - j, [*steps, 0]) & ((i - j) % 2 == 1))
        assert np.array_equal(bound.mask(12).numpy(), expected)
    assert pattern.bind(r="local(2)").arguments["r"].span.text == "local(2)"


def test_a_name_in_a_rule_is_never_captured() -> None:
    """The `k` of the caller's term, of the rule's `exists` and of a product are three things."""
    text = """
    rule near(r: relation) = { (i, j) : exists k : i - k = 1 and (k, j) in r }
    pattern p causal { step near({ (i, j) : exists k : k = j + 2 and i = k }) }
    """
    found = pc.loads(text)["p"].mask(12).numpy()
    i, j = np.arange(12)[:, None], np.arange(12)[None, :]
    assert np.array_equal(found, i - j == 3)


def test_selectors_have_all_their_options() -> None:
    text = """
    pattern p(k: int = 4, d: ratio = 25%) causal {
        learn a = importance(budget = d)
        learn b = topk_blocks(k = k, forced = [first])
        step columns(a) | select(b)
    }
    """
    pattern = pc.loads(text)["p"]
    a, b = pattern.bound.selectors
    assert (a.name, a.kind, dict(a.options)) == ("a", "importance", {"budget": 0.25, "gate": "gumbel_sigmoid"})
    assert dict(b.options) == {"k": 4, "block": 64, "scores": "learned", "forced": ("first",), "relax": "soft_topk"}
    assert dict(pattern.bind(k=9, d=0.5).bound.selectors[1].options)["k"] == 9


def test_gates_have_names_of_their_own() -> None:
    text = """
    rule soft(w: int) = gated local(w) | gated strided(w)
    pattern p causal { step self | soft(3) | gated (columns(first(1)) | local(2)) }
    """
    from patternc.compiler.relations.settle import opens

    sources = [one.source for one in opens(pc.loads(text)["p"].union.expression)]
    assert sources == [
        "soft(3): gated local(w)",
        "soft(3): gated strided(w)",
        "gated (columns(first(1)) | local(2))",
    ]
