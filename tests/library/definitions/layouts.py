"""Patterns over blocks of tokens, DeepSpeed's layouts among them."""

from __future__ import annotations

import numpy as np

from .definition import Definition, Index, IndexSet, Mask


def on_blocks(layout: IndexSet, size: int, *, causal: bool = False) -> IndexSet:
    """A layout of blocks, as a mask of tokens."""

    def of_tokens(i: Index, j: Index, n: int) -> Mask:
        found = layout(i // size, j // size, -(-n // size))
        return found & (j <= i) if causal else found

    return of_tokens


def permuted(a: Index, b: Index, blocks: int) -> Mask:
    """BlockBERT: identity and shift, each the permutation matrix that its head has."""
    heads = [np.arange(blocks), np.roll(np.arange(blocks), -1)]
    return np.any([permutation[a] == b for permutation in heads], axis=0)


def xor_power(a: Index, b: Index, digits: int) -> Mask:
    """Whether two blocks differ in one of the lowest ``digits`` binary digits."""
    return np.isin(a ^ b, [1 << t for t in range(digits)])


def power(a: Index, b: Index, w: int, digits: int) -> Mask:
    """PowerAttention: near, or a power of two away (d & (d - 1) = 0), or the sink."""
    d = a - b
    return (b == 0) | ((d >= 0) & (d < w)) | ((d > 0) & (d & (d - 1) == 0) & (d < 1 << digits))


def ends(a: Index, b: Index, blocks: int) -> Mask:
    """The first and the last block, as rows and as columns."""
    return np.isin(a, [0, blocks - 1]) | np.isin(b, [0, blocks - 1])


def fixed_layout(a: Index, b: Index, blocks: int, local: int, count: int, *, head: int = 0) -> Mask:
    """DeepSpeed's loops: windows, of each whole one the head's blocks, and of a last one cut short, or at its end."""
    found = np.zeros((blocks, blocks), dtype=np.bool_)
    for start in range(0, blocks, local):
        found[start : start + local, start : start + local] = True
    first, whole_windows = local - (1 + head) * count, blocks - blocks % local
    kept = [*range(first, whole_windows, local)]
    if whole_windows < blocks:
        kept.append(max(0, min(whole_windows + first, blocks - count)))
    for start in kept:
        found[:, start : start + count] = True
    return found[np.broadcast_to(a, np.broadcast_shapes(a.shape, b.shape)), b]


def windows_of_sizes(a: Index, b: Index, sizes: list[int]) -> Mask:
    """DeepSpeed's local_window_blocks: the first sizes once, the last again and again."""
    bounds = np.cumsum(sizes)
    while bounds[-1] <= max(a.max(), b.max()):
        bounds = np.append(bounds, bounds[-1] + sizes[-1])
    return np.searchsorted(bounds, a, side="right") == np.searchsorted(bounds, b, side="right")


DEFINITIONS = {
    "blockbert": Definition(on_blocks(permuted, 6), {"b": 6}),
    "bigbird": Definition(
        on_blocks(lambda a, b, blocks: (abs(a - b) <= 1) | ends(a, b, blocks), 4), {"b": 4, "r": 2}, drawn=(2, 4)
    ),
    "bigbird_causal": Definition(
        on_blocks(lambda a, b, blocks: (abs(a - b) <= 1) | (a < 2) | (b < 2), 4, causal=True), {"b": 4}, drawn=(3, 4)
    ),
    "powerattention": Definition(
        on_blocks(lambda a, b, blocks: power(a, b, 5, 6), 3, causal=True), {"b": 3, "levels": 6}
    ),
    "flat_butterfly": Definition(
        on_blocks(lambda a, b, blocks: (a == b) | xor_power(a, b, 4), 3), {"b": 3, "levels": 4}
    ),
    "flat_butterfly_causal": Definition(
        on_blocks(lambda a, b, blocks: (a == b) | xor_power(a, b, 5), 3, causal=True), {"b": 3}
    ),
    "flat_butterfly_bridged": Definition(
        on_blocks(lambda a, b, blocks: (a - b <= 1) | xor_power(a, b, 5), 3, causal=True), {"b": 3}
    ),
    "deepspeed_fixed": Definition(
        on_blocks(lambda a, b, blocks: fixed_layout(a, b, blocks, 4, 2), 3), {"block": 3, "globals": 2}
    ),
    "deepspeed_fixed_head": Definition(
        on_blocks(lambda a, b, blocks: fixed_layout(a, b, blocks, 5, 2, head=1), 3),
        {"block": 3, "local": 5, "globals": 2},
    ),
    "deepspeed_fixed_causal": Definition(
        on_blocks(lambda a, b, blocks: fixed_layout(a, b, blocks, 4, 2), 3, causal=True), {"block": 3, "globals": 2}
    ),
    "deepspeed_fixed_causal_head": Definition(
        on_blocks(lambda a, b, blocks: fixed_layout(a, b, blocks, 6, 2, head=2), 2, causal=True),
        {"block": 2, "local": 6, "globals": 2, "h": 2},
    ),
    "deepspeed_variable": Definition(
        on_blocks(lambda a, b, blocks: windows_of_sizes(a, b, [2, 1, 3]) | np.isin(b, [1, 4]), 3),
        {"block": 3, "starts": "{2} | { a : a mod 3 = 0 and a > 0 }", "globals": "{1, 4}"},
    ),
    "deepspeed_variable_rows": Definition(
        on_blocks(lambda a, b, blocks: windows_of_sizes(a, b, [4]) | (a == 0) | (b == 0), 3), {"block": 3}
    ),
    "deepspeed_variable_causal": Definition(
        on_blocks(lambda a, b, blocks: windows_of_sizes(a, b, [2, 4]) | np.isin(b, [0, 3]), 3, causal=True),
        {"block": 3, "starts": "{0} | { a : a mod 4 = 2 }", "globals": "{0, 3}"},
    ),
    "deepspeed_bigbird": Definition(
        on_blocks(lambda a, b, blocks: (abs(a - b) <= 1) | (a < 1) | (b < 1), 4), {"block": 4}, drawn=(1, 4)
    ),
    "deepspeed_bigbird_causal": Definition(
        on_blocks(lambda a, b, blocks: (abs(a - b) <= 1) | (b < 1), 4, causal=True), {"block": 4}, drawn=(1, 4)
    ),
    "deepspeed_bslongformer": Definition(
        on_blocks(lambda a, b, blocks: (abs(a - b) <= 2) | np.isin(a, [0, 3]) | np.isin(b, [0, 3]), 4),
        {"block": 4, "window": 5, "globals": "{0, 3}"},
    ),
    "deepspeed_bslongformer_causal": Definition(
        on_blocks(lambda a, b, blocks: (abs(a - b) <= 1) | np.isin(a, [0, 6]) | np.isin(b, [0, 6]), 4, causal=True),
        {"block": 4, "globals": "{0, 6}"},
    ),
    "deepspeed_local_bidirectional": Definition(
        on_blocks(lambda a, b, blocks: abs(a - b) <= 2, 4), {"block": 4, "window": 5}
    ),
    "deepspeed_local": Definition(
        on_blocks(lambda a, b, blocks: (a - 2 <= b) & (b <= a), 4, causal=True), {"block": 4, "window": 5}
    ),
}
