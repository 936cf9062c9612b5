"""The text of loops over diagonals: of a stationary block each row, and the one of the other side at a distance.

The distance is the same for all rows of a step, so that a step reads a block of rows and computes one score for each.
Steps at which no row of the block has another that exists are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def key_diagonals(lo: str, hi: str, mask: str, step: str) -> Iterator[str]:
    """The diagonals lo..hi-1 of a stationary query block. ``mask`` is empty, or ends in an ``&``."""
    yield f"lo = tl.maximum({lo}, 1 - (block + 1) * (BLOCK_Q // PACK))"
    yield f"hi = tl.minimum({hi}, count - block * (BLOCK_Q // PACK))"
    yield "lo, hi = share(lo, hi, SPLIT)"
    yield "for x in range(lo, hi):"
    yield "    b = a + x"
    yield f"    keep = {mask}(b >= 0) & (b < count)"
    yield "    k = load_rows(k_at, first + b, k_n, k_d, keep, HEAD_DIM, BLOCK_D)"
    yield "    v = load_rows(v_at, first + b, v_n, v_d, keep, HEAD_DIM, BLOCK_D)"
    yield f"    {step.format('diagonal', ' keep,', '')}"


def query_diagonals(lo: str, hi: str, head: Iterable[str], mask: str, place: str) -> Iterator[str]:
    """The diagonals lo..hi-1 of a stationary key block, in a loop with this ``head``. ``place``: the row in q of query
    position 0."""
    yield f"lo = tl.maximum({lo}, block * BLOCK_K + 1 - end)"
    yield f"hi = tl.minimum({hi}, (block + 1) * BLOCK_K - begin)"
    yield "lo, hi = share(lo, hi, SPLIT)"
    yield from head
    yield "    a = b - x"
    yield f"    keep = {mask}(a >= begin) & (a < tl.minimum(end, there))"
    yield f"    at = {place} + a"
    yield "    q = load_rows(q_at, at, q_n, q_d, keep, HEAD_DIM, BLOCK_D)"
    yield "    do = load_rows(do_at, at, do_n, do_d, keep, HEAD_DIM, BLOCK_D)"
    yield "    lse = load_lse(lse_at, at, keep)"
    yield "    delta = tl.load(delta_at + at, mask=keep, other=0.0)"
    yield "    dk, dv = key_gradient_diagonal(dk, dv, q, k, v, do, lse, delta, keep, score_scale, SOFTCAP)"
