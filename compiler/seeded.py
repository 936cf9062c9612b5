"""Seeded tables: ``random(r, block, seed)`` means the same blocks on every machine and in every version.

Query block a draws the r key blocks of the least hash, ties by the lesser number, among the blocks that it may see:
0..a in a causal pattern, all of them elsewhere. The hash of (seed, a, b) is three rounds of SplitMix64 (Steele et al.
2014, figure 17), mix(mix(mix(seed) xor a) xor b), in 64-bit arithmetic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def drawn(query: Any, key: Any, length: Any, count: int, size: int, seed: int, *, causal: bool) -> NDArray[np.bool_]:
    """Whether the block of ``key`` is one of the ``count`` that the block of ``query`` draws, of ``length`` keys;
    over integer arrays that broadcast against each other."""
    rows, totals = np.broadcast_arrays(np.asarray(query) // size, -(-np.asarray(length) // size))
    cases, which = np.unique(np.stack([rows.ravel(), totals.ravel()]).astype(np.int64), axis=1, return_inverse=True)
    table = np.zeros((cases.shape[1], max(1, int(cases[1].max(initial=1)))), dtype=np.bool_)
    for place, (a, total) in enumerate(cases.T.tolist()):
        among = max(0, min(a + 1, total) if causal else total)
        hashes = _hash(seed, a, np.arange(among, dtype=np.uint64))
        table[place, np.argsort(hashes, kind="stable")[:count]] = True
    blocks = np.asarray(key) // size
    inside = (blocks >= 0) & (blocks < totals)
    found: NDArray[np.bool_] = inside & table[which.reshape(rows.shape), np.where(inside, blocks, 0).astype(np.int64)]
    return found


def _hash(seed: int, a: int, blocks: NDArray[np.uint64]) -> NDArray[np.uint64]:
    start = np.asarray([seed % 2**64], dtype=np.uint64)
    return mixed(mixed(mixed(start) ^ np.uint64(a % 2**64)) ^ blocks)


def mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One round: all arithmetic is mod 2^64."""
    z = x + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
