"""Patterns that leave something to learned selections and gates: what must attend, and what may."""

from __future__ import annotations

from .definition import Definition, Index, Mask, past, whole


def complete(i: Index, j: Index, size: int) -> Mask:
    """Whether the summary of j's tokens, ``size`` of them, is over when query i comes."""
    last = j // size * size + size - 1
    return last <= i


def nothing(i: Index, j: Index) -> Mask:
    return ~whole(i, j)


def own_or_first(i: Index, j: Index, size: int) -> Mask:
    return (j <= i) & ((i // size == j // size) | (j // size == 0))


DEFINITIONS = {
    "adaptive_span": Definition(
        lambda i, j, n: (i - j >= 0) & (i - j < 11), {"s": 8, "r": 3}, must=lambda i, j, n: (i - j >= 0) & (i - j < 3)
    ),
    "dam": Definition(lambda i, j, n: abs(i - j) < 128, must=lambda i, j, n: whole(i, j) & (i == j)),
    "adaptive_axis": Definition(lambda i, j, n: whole(i, j), {"w": 3}, must=lambda i, j, n: abs(i - j) <= 3),
    "adaptive_axis_causal": Definition(
        lambda i, j, n: past(i, j), {"w": 3}, must=lambda i, j, n: (i - j >= 0) & (i - j <= 3)
    ),
    "adaptive_sparse": Definition(
        lambda i, j, n: past(i, j),
        {"w": 9, "k": 2},
        must=lambda i, j, n: (j <= i) & ((i - j < 9) | own_or_first(i, j, 64) | complete(i, j, 16)),
        lengths=(1, 2, 15, 17, 64, 65, 130, 200),
    ),
    "moba": Definition(lambda i, j, n: past(i, j), {"k": 3, "b": 8}, must=lambda i, j, n: (j <= i) & (j >= i - i % 8)),
    "seer_attention": Definition(lambda i, j, n: past(i, j), {"k": 2, "b": 8}, must=lambda i, j, n: nothing(i, j)),
    "seer_attention_diagonal": Definition(
        lambda i, j, n: past(i, j), {"k": 2, "b": 8}, must=lambda i, j, n: (j <= i) & (i // 8 == j // 8)
    ),
    "block_sparse": Definition(lambda i, j, n: past(i, j), {"k": 3, "b": 8}, must=lambda i, j, n: nothing(i, j)),
    "quest": Definition(lambda i, j, n: past(i, j), {"k": 3, "b": 4}, must=lambda i, j, n: nothing(i, j)),
    "dsa": Definition(lambda i, j, n: past(i, j), {"k": 6}, must=lambda i, j, n: nothing(i, j)),
    "dsa_tiles": Definition(lambda i, j, n: past(i, j), {"k": 6}, must=lambda i, j, n: whole(i, j) & (i == j)),
    "sparsek": Definition(
        lambda i, j, n: past(i, j), {"w": 5, "k": 4}, must=lambda i, j, n: (i - j >= 0) & (i - j < 5)
    ),
    "nsa": Definition(
        lambda i, j, n: past(i, j),
        {"k": 3, "b": 8, "s": 4, "w": 10},
        must=lambda i, j, n: (j <= i) & ((i - j < 10) | own_or_first(i, j, 8) | complete(i, j, 4)),
    ),
}

CROSS = {
    "granular": Definition(lambda i, j, n: whole(i, j), {"block": 4}, must=lambda i, j, n: nothing(i, j)),
    "granular_everywhere": Definition(lambda i, j, n: whole(i, j), {"block": 4}, must=lambda i, j, n: whole(i, j)),
}
"""Of two sequences: i over nq queries, j over nk keys."""

DEFINITIONS |= CROSS
