"""Windows, sinks, columns and the factorised patterns: index sets over single tokens."""

from __future__ import annotations

import numpy as np

from .definition import Definition, Index, Mask, whole


def power_of_two(distance: Index, powers: int) -> Mask:
    """Whether a distance is a power of two, of at most so many."""
    return np.isin(distance, [1 << k for k in range(powers)])


def log_row(i: Index, j: Index, sub: int, w: int, powers: int) -> Mask:
    """The mask of the LogSparse authors: from i back in strides of ``sub``, and each time w keys and powers of two."""
    found = np.zeros(np.broadcast_shapes(i.shape, j.shape), dtype=np.bool_)
    for start in range(0, int(i.max()) + 1, sub):
        distance = i - start - j
        near = (distance >= 0) & (distance < w)
        logs = np.isin(distance - (w - 1), [1 << k for k in range(powers) if w - 1 + (1 << k) <= sub])
        found |= near | logs
    return found & (j <= i)


def dilated_segments(i: Index, j: Index, w: int, h: int) -> Mask:
    """LongNet, segment by segment, as it would gather them."""
    found = np.zeros(np.broadcast_shapes(i.shape, j.shape), dtype=np.bool_)
    for segment, rate in ((w, 1), (2 * w, 2), (4 * w, 4), (8 * w, 6), (16 * w, 12)):
        for start in range(0, int(max(i.max(), j.max())) + 1, segment):
            kept = np.arange(start + h % rate, start + segment, rate)
            found |= np.isin(i, kept) & np.isin(j, kept)
    return found


def clamped(i: Index, k: int, n: int) -> Index:
    """The centre of the window of NATTEN, which keeps k // 2 places off both borders."""
    return np.clip(i, k // 2, max(k // 2, n - 1 - k // 2))


def led(i: Index, j: Index, k: int, s: int, n: int) -> Mask:
    """Strided NATTEN: the window of the query in the middle of a group of s, as the start and the end of a range."""
    leader = np.minimum(i - i % s + s // 2, n - 1)
    start = np.maximum(np.minimum(leader - k // 2, n - k), 0)
    return (start <= j) & (j < start + k)


def in_group(i: Index, j: Index, k: int, d: int, n: int) -> Mask:
    """Dilated NATTEN: the window among the tokens of i's residue class mod d."""
    size = (n - i % d + d - 1) // d
    centre = np.minimum(np.maximum(i // d, k // 2), np.maximum(k // 2, size - 1 - k // 2))
    return (i % d == j % d) & (abs(j // d - centre) <= k // 2)


def ring(i: Index, j: Index, n: int) -> Mask:
    """Star-Transformer: satellites 1 to n - 1 in a circle, and the relay 0 in its middle."""
    circle = max(n - 1, 1)
    beside = np.isin((i - 1) - (j - 1), [-1, 0, 1]) | ((i - 1 + 1) % circle == j - 1) | ((j - 1 + 1) % circle == i - 1)
    return (i == 0) | (j == 0) | beside


DEFINITIONS = {
    "dense": Definition(lambda i, j, n: j <= i),
    "dense_bidirectional": Definition(lambda i, j, n: whole(i, j)),
    "sliding_window": Definition(lambda i, j, n: (i - j >= 0) & (i - j < 7), {"w": 7}),
    "sliding_window_bidirectional": Definition(lambda i, j, n: 2 * abs(i - j) <= 6, {"w": 6}),
    "streaming": Definition(lambda i, j, n: (j <= i) & ((j < 3) | (i - j < 5)), {"sink": 3, "w": 5}),
    "lm_infinite": Definition(lambda i, j, n: (j <= i) & ((i - j < 9) | np.isin(j, [0, 1])), {"g": 2, "w": 9}),
    "a_shape": Definition(lambda i, j, n: (j <= i) & ((j < 6) | (j > i - 8)), {"g": 6, "w": 8}),
    "vertical_slash": Definition(
        lambda i, j, n: (j <= i) & (np.isin(j, [1, 5, 6, 30]) | np.isin(i - j, [0, 1, 2, 17])),
        {"v": "{1, 5, 6, 30}", "s": "{0..2, 17}"},
    ),
    "strided_factorized": Definition(lambda i, j, n: (j <= i) & ((i - j < 6) | ((i - j) % 6 == 0)), {"l": 6}),
    "fixed_factorized": Definition(
        lambda i, j, n: (j <= i) & ((j // 8 == i // 8) | np.isin(j % 8, [5, 6, 7])), {"l": 8, "c": 3}
    ),
    "summary_columns": Definition(
        lambda i, j, n: (j <= i) & ((i - j < 6) | np.isin(j % 6, [4, 5])), {"w": 6, "l": 6, "c": 2}
    ),
    "longformer": Definition(
        lambda i, j, n: (abs(i - j) <= 4) | np.isin(i, [0, 9]) | np.isin(j, [0, 9]), {"w": 4, "g": "{0, 9}"}
    ),
    "global_itc": Definition(lambda i, j, n: np.isin(i, [0, 5]) | np.isin(j, [0, 5]), {"g": "{0, 5}"}),
    "global_causal": Definition(lambda i, j, n: (j <= i) & ((i - j < 4) | (i < 3) | (j < 3)), {"g": 3, "w": 4}),
    "global_etc": Definition(
        lambda i, j, n: np.where((i >= 4) & (j >= 4), abs(i - j) <= 2, True),
        {"g": 4, "r": 2},
    ),
    "star_transformer": Definition(ring),
    "dilated_window": Definition(lambda i, j, n: np.isin(i - j, [0, 3, 6, 9]), {"w": 4, "d": 3}),
    "dilated_window_bridged": Definition(lambda i, j, n: np.isin(i - j, [0, 1, 2, 3, 6, 9]), {"w": 4, "d": 3}),
    "logsparse": Definition(lambda i, j, n: (i == j) | power_of_two(i - j, 9), {"levels": 9}),
    "logsparse_local": Definition(lambda i, j, n: log_row(i, j, 10**6, 8, 8), {"w": 8, "levels": 8}),
    "logsparse_restart": Definition(lambda i, j, n: log_row(i, j, 24, 5, 4), {"l": 24, "w": 5, "levels": 4}),
    "longnet": Definition(lambda i, j, n: (j <= i) & dilated_segments(i, j, 16, 2), {"w": 16, "h": 2}),
    "longnet_bridged": Definition(
        lambda i, j, n: (j <= i) & (dilated_segments(i, j, 16, 3) | (i - j < 2)), {"w": 16, "h": 3}
    ),
    "longnet_small": Definition(lambda i, j, n: (j <= i) & dilated_segments(i, j, 16, 2), {"w": 16, "h": 2}),
    "longnet_bidirectional": Definition(lambda i, j, n: dilated_segments(i, j, 16, 2), {"w": 16, "h": 2}),
    "prefix_lm": Definition(lambda i, j, n: (j <= i) | (j < 9), {"p": 9}),
    "block_local": Definition(lambda i, j, n: (j <= i) & (i - i % 6 == j - j % 6), {"l": 6}),
    "block_local_shifted": Definition(
        lambda i, j, n: (j <= i) & ((i // 6 == j // 6) | ((i + 3) // 6 == (j + 3) // 6)), {"l": 6}
    ),
    "neighborhood": Definition(lambda i, j, n: abs(j - clamped(i, 5, n)) <= 2, {"k": 5}),
    "neighborhood_strided": Definition(lambda i, j, n: led(i, j, 5, 3, n), {"k": 5, "s": 3}),
    "neighborhood_causal": Definition(lambda i, j, n: (i - j >= 0) & (i - j < 5), {"k": 5}),
    "dilated_neighborhood": Definition(lambda i, j, n: in_group(i, j, 3, 4, n), {"k": 3, "d": 4}),
    "dilated_neighborhood_in_turn": Definition(
        lambda i, j, n: in_group(i, j, 3, 1, n) | in_group(i, j, 3, 4, n), {"k": 3, "d": 4}
    ),
    "dam_found": Definition(lambda i, j, n: np.isin(i - j, [-9, -1, 0, 1, 9]), {"kept": "{0, 1, 9}"}),
    "packed_documents": Definition(lambda i, j, n: j <= i, must=lambda i, j, n: i == j),
    "packed_window": Definition(
        lambda i, j, n: (i - j >= 0) & (i - j < 5), {"w": 5}, must=lambda i, j, n: whole(i, j) & (i == j)
    ),
}
