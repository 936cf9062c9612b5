"""The loops over blocks of a table: their statements, and their reading."""

from __future__ import annotations

from textwrap import indent

from ...passes.program import NATURAL, Order
from .forms.kernel import SELF, Lengths
from .forms.of_keys import HEADS
from .forms.of_queries import STEPS
from .integer import refuse
from .statements import Statements, integer

POINTERS = "blocks_ptr, starts_ptr"

_LISTED = """
if blocks_ptr is not None:
    lo, hi = listed(starts_ptr, {rank} // HOLE_table, HOLE_table // {swept})
    lo, hi = share(lo, hi, SPLIT)
"""
_KEYS = """
j = listed_block(blocks_ptr, lo, HOLE_table // BLOCK_K)
for t in range(lo, hi):
    k, v = load_keys(
        k_at, v_at, j, c, first, n, k_n, k_d, v_n, v_d, 1, 1, 0, HEAD_DIM, BLOCK_D, BLOCK_K, True)
    j = listed_block(blocks_ptr, t + 1, HOLE_table // BLOCK_K)
"""
_QUERIES = (
    "\ni = listed_block(blocks_ptr, lo, HOLE_table // BLOCK_Q)"
    + HEADS.format(place="t").rstrip()
    + """
    q, do, lse, delta = load_queries(
        q_at, do_at, lse_at, delta_at, i, c, first - query_offset, 0, there, q_n, q_d, do_n, do_d,
        1, 1, 0, HEAD_DIM, BLOCK_D, BLOCK_Q, True)
    i = listed_block(blocks_ptr, lo + (turn + 1 - lo) % size, HOLE_table // BLOCK_Q)
    dk, dv = key_gradient_full(dk, dv, q, k, v, do, lse, delta, score_scale, SOFTCAP, PRECISION)
"""
)


def take_table(statements: Statements, kind: str, order: Order, lengths: Lengths) -> int:
    """The size of the blocks of the lists that are taken next."""
    if kind == "backward_key":
        head, body = _LISTED.format(rank="block * BLOCK_K", swept="BLOCK_Q"), _QUERIES
    else:
        head = _LISTED.format(rank="block * (BLOCK_Q // PACK)", swept="BLOCK_K")
        body = _KEYS + indent(STEPS[kind].format("full", ""), "    ")
    holes = statements.take(SELF.write(head.rstrip() + indent(body, "    ")))
    if order != NATURAL or lengths != SELF:
        raise refuse(statements.owner, "blocks are listed for tokens in their own order, of one sequence")
    return integer(holes, "table")
