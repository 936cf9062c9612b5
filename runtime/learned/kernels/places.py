"""Where a kernel over lists finds its rows, its keys and its pairs.

Names: ``a`` is a place among the rows of the lists, ``i`` the query that stands there; ``x`` a place in a list whose
entries are padded to PADDED keys each, ``j`` the key that stands there. Row 0 of q is query number ``offset``: rows are
counted from there, positions in lists and conditions are not. Rows and keys are given as a first one, a number, and how
far the others are from it: where they lie side by side, addresses differ from step to step by that number alone.
A list tensor is contiguous, [B, G, tiles, slots]. A *bundle* is a query head, or with PACK > 1 those of a key head
(``engines/triton/lanes.py``); G divides the bundles.
"""

# mypy: ignore-errors
# The bodies below are Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

import triton
import triton.language as tl

from ...engines.triton.lanes import bundles, query_head
from ...engines.triton.memory import LOG2_E


@triton.jit
def group_of(bundle, count, GROUPS: tl.constexpr):
    """Which of G lists a bundle follows."""
    return bundle * GROUPS // count


@triton.jit
def rows_of(
    block, batch, g, group, R, length, rows_ptr, GROUPS: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr,
    PACK: tl.constexpr,
):  # fmt: skip
    """(tile, a, first, far, live) of a block of lanes, i = first + far; ``length``: how many rows exist."""
    ranks = BLOCK // PACK
    if TILE == 0:
        tile = block * 0
        first, end = block * ranks, R
    else:
        per = (TILE + ranks - 1) // ranks
        tile = block // per
        first, end = tile * TILE + block % per * ranks, tl.minimum(tile * TILE + TILE, R)
    lane = tl.arange(0, BLOCK)
    a = first + lane // PACK
    live = (a < end) & (lane % PACK < group)
    if PACK == 1:
        live = a < end
    if rows_ptr is None:
        return tile, a, first, lane // PACK, live & (a < length)
    else:
        i = tl.load(rows_ptr + (batch.to(tl.int64) * GROUPS + g) * R + a, mask=live, other=0)
        return tile, a, first * 0, i, live & (i < length)


@triton.jit
def keys_of(
    start, at, entries_ptr, since_ptr, until_ptr, gate_ptr, slots, length, size_ptr, size_at, BLOCK: tl.constexpr,
    PADDED: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """(first, far, live, since, until, log-gate in units of log2) of BLOCK_K places, from ``start`` on, in the list
    that begins at ``at``: j = first + far."""
    if PADDED >= BLOCK_K:  # within one entry
        slot = at + start // PADDED
        far = tl.arange(0, BLOCK_K)
        entry = tl.load(entries_ptr + slot)
        inner = start % PADDED
        first = tl.maximum(entry, 0) * BLOCK + inner
        live = (far < tl.minimum(BLOCK - inner, length - first)) & (entry >= 0)
        since, until, gate = numbers_of(slot, far, since_ptr, until_ptr, gate_ptr)
        live = live & (gate > float("-inf"))
    else:
        x = start + tl.arange(0, BLOCK_K)
        slot = x // PADDED
        exists = slot < slots
        entry = tl.load(entries_ptr + at + slot, mask=exists, other=-1)
        far = entry * BLOCK + x % PADDED
        live = exists & (entry >= 0) & (x % PADDED < BLOCK) & (far < length)
        first, far = start * 0, tl.where(live, far, 0)
        since, until, gate = far * 0, far * 0 + 0x7FFFFFFF, far.to(tl.float32) * 0.0
        if since_ptr is not None:
            since = tl.load(since_ptr + at + slot, mask=exists, other=0x7FFFFFFF)
        if until_ptr is not None:
            until = tl.load(until_ptr + at + slot, mask=exists, other=0)
        if gate_ptr is not None:
            gate = tl.load(gate_ptr + at + slot, mask=exists, other=float("-inf"))
            live = live & (gate > float("-inf"))
    gate = tl.where(live, gate, 0.0)
    if size_ptr is not None:
        gate += tl.load(size_ptr + size_at + first + far, mask=live, other=0.0)
    return first, far, live, since, until, gate * LOG2_E


@triton.jit
def numbers_of(slot, far, since_ptr, until_ptr, gate_ptr):
    """(since, until, log-gate) of one slot, for each of its keys."""
    since, until, gate = far * 0, far * 0 + 0x7FFFFFFF, far.to(tl.float32) * 0.0
    if since_ptr is not None:
        since += tl.load(since_ptr + slot)
    if until_ptr is not None:
        until = far * 0 + tl.load(until_ptr + slot)
    if gate_ptr is not None:
        gate += tl.load(gate_ptr + slot)
    return since, until, gate


@triton.jit
def row_gates(a, head, batch, g, R, heads, row_gate_ptr, head_gate_ptr, live, GROUPS: tl.constexpr):
    """(log-gate in units of log2, whether it is open) of each lane."""
    gate = a.to(tl.float32) * 0.0
    if row_gate_ptr is not None:
        gate += tl.load(row_gate_ptr + (batch.to(tl.int64) * GROUPS + g) * R + a, mask=live, other=float("-inf"))
    if head_gate_ptr is not None:
        gate += tl.load(head_gate_ptr + head)
    is_open = gate > float("-inf")
    return tl.where(is_open, gate, 0.0) * LOG2_E, is_open & live


@triton.jit
def held_rows(
    heads, group, R, offset, queries_ptr, rows_ptr, row_gate_ptr, head_gate_ptr, GROUPS: tl.constexpr,
    TILE: tl.constexpr, BLOCK: tl.constexpr, PACK: tl.constexpr,
):  # fmt: skip
    """(batch, bundle, how many there are, which list of all elements, tile, a, first, far, live, head, log-gate,
    whether it is open) of an instance that holds a block of lanes. The head is one number, or one for each lane."""
    count = bundles(heads, group, PACK)
    batch, bundle = tl.program_id(1) // count, tl.program_id(1) % count
    g = group_of(bundle, count, GROUPS)
    length = tl.load(queries_ptr + batch) - offset
    tile, a, first, far, live = rows_of(
        tl.program_id(0), batch, g, group, R, length, rows_ptr, GROUPS, TILE, BLOCK, PACK
    )  # fmt: skip
    head = query_head(bundle, group, BLOCK, PACK)
    gate, is_open = row_gates(a, a * 0 + head, batch, g, R, heads, row_gate_ptr, head_gate_ptr, live, GROUPS)
    return batch, bundle, count, batch.to(tl.int64) * GROUPS + g, tile, a, first, far, live, head, gate, is_open


@triton.jit
def kept(
    i, j, row_live, key_live, since, until, since_ptr, until_ptr, batch, head, nq, nk, tables, CAUSAL: tl.constexpr,
    KEEP: tl.constexpr,
):  # fmt: skip
    """Which pairs the lists hold: all arguments of rows are [rows, 1] and those of keys [1, keys], or the other way.
    KEEP None: nothing more is asked of a pair."""
    result = row_live & key_live
    if since_ptr is not None:
        result = result & (i >= since)
    if until_ptr is not None:
        result = result & (i < until)
    if CAUSAL:
        result = result & (j <= i)
    if KEEP is not None:
        # What does not exist stands at place 0 of every table.
        result = result & KEEP(tl.where(row_live, i, 0), tl.where(key_live, j, 0), batch, head, nq, nk, tables)
    return result


@triton.jit
def with_gates(scores, rows, keys, row_gate_ptr, head_gate_ptr, gate_ptr, size_ptr):
    """Scores and the log-gates of rows and of keys, where there are any."""
    if row_gate_ptr is not None or head_gate_ptr is not None:
        scores += rows
    if gate_ptr is not None or size_ptr is not None:
        scores += keys
    return scores


# What earlier terms hold; ``g``: the group that the head follows, of GROUPS; ``width``: of a row of the table.


@triton.jit
def look(table, width, batch, g, at, GROUPS: tl.constexpr):
    return tl.load(table + (batch.to(tl.int64) * GROUPS + g) * width + at)


@triton.jit
def in_columns(i, j, batch, g, table, width, GROUPS: tl.constexpr):
    """int32 [B, G, Nk]: the queries i < until[j] hold key j."""
    return i < look(table, width, batch, g, j, GROUPS)


@triton.jit
def in_rows(i, j, batch, g, table, width, GROUPS: tl.constexpr):
    """int32 [B, G, Nq]: 1 for the queries that hold every key."""
    return (look(table, width, batch, g, i, GROUPS) != 0) & (j >= 0)


@triton.jit
def in_blocks(i, j, batch, g, table, width, keys, GROUPS: tl.constexpr, BLOCK: tl.constexpr):
    """int32 [B, G, query blocks, key blocks], ``width`` of them and ``keys`` in a row: 1 for those that are held."""
    return look(table, width, batch, g, (i // BLOCK).to(tl.int64) * keys + j // BLOCK, GROUPS) != 0


@triton.jit
def in_tiles(i, j, batch, g, table, width, keys, GROUPS: tl.constexpr, TILE: tl.constexpr, DIAGONAL: tl.constexpr):
    """int32 [B, G, tiles, Nk]: the queries i < until of a tile hold the key; DIAGONAL: and each its own."""
    found = i < look(table, width, batch, g, (i // TILE).to(tl.int64) * keys + j, GROUPS)
    return found | (i == j) if DIAGONAL else found


@triton.jit
def in_head(head, table):
    """int32 [Hq]: 1 where the gate is open."""
    return tl.load(table + head) != 0
