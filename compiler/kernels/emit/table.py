"""The text of the loops over blocks of a table, which a call may give to a program as lists: of each query block the
key blocks that it reads, and the other way round. All of these exist whole, and every pair of them is kept.

Which block is next is read a step ahead: read in its own step, Triton's pipeline would have a stage for that alone, and
wait for every block of keys in full before it goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...passes.program import NATURAL, Program
from .query_sweeps import query_head
from .sweeps import PRODUCTS, STEP, constants_of

POINTERS = "blocks_ptr, starts_ptr"
"""The lists of a kernel, one after another, and where each begins; None, None in a call without."""

_ORDER = constants_of(NATURAL)


def takes(program: Program, size: int) -> bool:
    """Whether kernels can take blocks of ``size`` tokens: these are whole tiles, and the first kernel of each chain
    holds such tiles, of tokens in their own order."""
    if program.cross or not (program.forward and program.backward):
        return False
    query, key, tile = program.forward[0], program.backward[0], program.tile
    if any(kernel.order != NATURAL or program.is_vector(kernel) for kernel in (query, key)):
        return False
    held = program.queries_held(query), program.keys_held(key)
    return held == (tile.query, tile.key) and not size % tile.query and not size % tile.key


def listed_keys(program: Program, step: str) -> Iterator[str]:
    """For a stationary query block."""
    load = "k, v = load_keys(k_at, v_at, j, c, first, n, k_n, k_d, v_n, v_d,"
    body = (
        f"j = listed_block(blocks_ptr, lo, {program.table} // BLOCK_K)",
        "for t in range(lo, hi):",
        f"    {load} {_ORDER}, HEAD_DIM, BLOCK_D, BLOCK_K, True)",
        f"    j = listed_block(blocks_ptr, t + 1, {program.table} // BLOCK_K)",
        f"    {step.format('full', '', PRODUCTS)}",
    )
    yield from _listed(program, "block * (BLOCK_Q // PACK)", "BLOCK_K", body)


def listed_queries(program: Program) -> Iterator[str]:
    """For a stationary key block, of all query heads of a group."""
    body = (
        f"i = listed_block(blocks_ptr, lo, {program.table} // BLOCK_Q)",
        *query_head("t", program.lengths[0]),
        "    q, do, lse, delta = load_queries(",
        "        q_at, do_at, lse_at, delta_at, i, c, first - query_offset, 0, there,",
        f"        q_n, q_d, do_n, do_d, {_ORDER}, HEAD_DIM, BLOCK_D, BLOCK_Q, True,",
        "    )",
        f"    i = listed_block(blocks_ptr, lo + (turn + 1 - lo) % size, {program.table} // BLOCK_Q)",
        f"    dk, dv = key_gradient_full(dk, dv, q, k, v, do, lse, delta, {STEP.format(PRODUCTS)})",
    )
    yield from _listed(program, "block * BLOCK_K", "BLOCK_Q", body)


def _listed(program: Program, rank: str, swept: str, body: Iterable[str]) -> Iterator[str]:
    size = program.table
    yield ""
    yield f"# blocks of {size} that the call lists for this one"
    yield "if blocks_ptr is not None:"
    yield f"    lo, hi = listed(starts_ptr, {rank} // {size}, {size} // {swept})"
    yield "    lo, hi = share(lo, hi, SPLIT)"
    yield from (f"    {row}" for row in body)
