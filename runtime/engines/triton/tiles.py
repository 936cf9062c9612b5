"""The fixed library that every generated kernel is written in: the mathematics of one block (block_math.py), and all of
lanes.py, memory.py, orders.py and places.py that they name.

A generated kernel says *which* tiles a program touches and *which* pairs of a tile it keeps; what is done with a block
of them is in these files, once.
"""

from __future__ import annotations

from .block_math import (
    attend_diagonal,
    attend_full,
    attend_kept,
    finish,
    fresh,
    key_gradient_diagonal,
    key_gradient_full,
    key_gradient_kept,
    query_gradient_diagonal,
    query_gradient_full,
    query_gradient_kept,
    resume,
)
from .lanes import bundles, gradient_landing, key_head, landing, owned, query_head, query_lanes, share
from .memory import LOG2_E, load_keys, load_lse, load_queries, load_rows, matrix, row_numbers, store_gradient, vector
from .orders import complete, exists, floordiv, floormod, ranks, token, within
from .places import (
    and_then,
    block_at,
    edge_block,
    edge_count,
    key_block,
    listed,
    listed_block,
    query_block,
    query_window,
    sequence,
    walk_length,
    whole_blocks,
    whole_window,
)

__all__ = [
    "LOG2_E",
    "and_then",
    "attend_diagonal",
    "attend_full",
    "attend_kept",
    "block_at",
    "bundles",
    "complete",
    "edge_block",
    "edge_count",
    "exists",
    "finish",
    "floordiv",
    "floormod",
    "fresh",
    "gradient_landing",
    "key_block",
    "key_gradient_diagonal",
    "key_gradient_full",
    "key_gradient_kept",
    "key_head",
    "landing",
    "listed",
    "listed_block",
    "load_keys",
    "load_lse",
    "load_queries",
    "load_rows",
    "matrix",
    "owned",
    "query_block",
    "query_gradient_diagonal",
    "query_gradient_full",
    "query_gradient_kept",
    "query_head",
    "query_lanes",
    "query_window",
    "ranks",
    "resume",
    "row_numbers",
    "sequence",
    "share",
    "store_gradient",
    "token",
    "vector",
    "walk_length",
    "whole_blocks",
    "whole_window",
    "within",
]
