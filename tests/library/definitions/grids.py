"""Images and videos: positions are unravelled with NumPy, and windows are those of the authors' code."""

from __future__ import annotations

import numpy as np

from .definition import Definition, Index, Mask


def shifted_window(i: Index, j: Index, k: int, extent: int) -> Mask:
    """Along one axis: the k around the centre, which is clamped away from the borders."""
    return abs(j - np.clip(i, k // 2, max(k // 2, extent - 1 - k // 2))) <= k // 2


def image_window(i: Index, j: Index, n: int, k: int, width: int) -> Mask:
    (yi, xi), (yj, xj) = divmod(i, width), divmod(j, width)
    return shifted_window(yi, yj, k, -(-n // width)) & shifted_window(xi, xj, k, width)


def tile_window(i: Index, j: Index, n: int, w: int, height: int, width: int, tile: int) -> Mask:
    """Sliding tile attention: of the tile that a token is in, the window of tiles."""
    whole = max(1, -(-n // (height * width * tile)))
    ti, yi, xi = np.unravel_index(i // tile, (whole, height, width))
    tj, yj, xj = np.unravel_index(j // tile, (whole, height, width))
    found = shifted_window(ti, tj, w, whole) & shifted_window(yi, yj, w, height) & shifted_window(xi, xj, w, width)
    return np.asarray(found, dtype=np.bool_)


def radial(i: Index, j: Index, tokens: int, block: int, frames: int) -> Mask:
    """Frame by frame, as the authors' code has it: the width of the window and the split of each pair of frames.

    ``frames``: pairs that are farther apart than any group have no window (there is no such limit in the code).
    """
    (fi, xi), (fj, xj) = divmod(i, tokens), divmod(j, tokens)
    found = np.zeros(np.broadcast_shapes(i.shape, j.shape), dtype=np.bool_)
    for distance in range(int(max(fi.max(), fj.max())) + 1):
        pairs = abs(fi - fj) == distance
        if distance <= 1:
            found |= pairs
            continue
        decayed = 2 ** tokens.bit_length() / 2 ** distance.bit_length()
        width = max(decayed, block)
        split = 1 if decayed >= block else int(block / decayed)
        if distance % split == 0 and distance < frames:
            found |= pairs & (abs(xi - xj) <= width)
    return found | (fj == 0)


def memory_block(i: Index, j: Index, shape: tuple[int, int], flange: tuple[int, int], across: int) -> Mask:
    """Image Transformer: pixels in the order of generation, and for each the rectangle around its query block."""
    rows, columns = shape

    def pixel(position: Index) -> tuple[Index, Index, Index, Index]:
        block, inside = divmod(position, rows * columns)
        down, over = divmod(block, across)
        return down * rows, over * columns, down * rows + inside // columns, over * columns + inside % columns

    top, left, _, _ = pixel(i)
    _, _, y, x = pixel(j)
    high, wide = flange
    inside = (top - high <= y) & (y < top + rows) & (left - wide <= x) & (x < left + columns + wide)
    return inside & (j <= i)


DEFINITIONS = {
    "axial": Definition(lambda i, j, n: (j <= i) & ((i // 5 == j // 5) | (i % 5 == j % 5)), {"width": 5}),
    "axial_wrapped": Definition(lambda i, j, n: (j <= i) & ((i - j < 5) | (i % 5 == j % 5)), {"width": 5}),
    "axial_bidirectional": Definition(
        lambda i, j, n: (divmod(i, 6)[0] == divmod(j, 6)[0]) | (divmod(i, 6)[1] == divmod(j, 6)[1]), {"width": 6}
    ),
    "neighborhood_2d": Definition(lambda i, j, n: image_window(i, j, n, 3, 7), {"k": 3, "width": 7}),
    "sliding_tile": Definition(lambda i, j, n: tile_window(i, j, n, 3, 3, 4, 2), {"h": 3, "l": 4, "b": 2}),
    "sliding_tile_map": Definition(lambda i, j, n: tile_window(i, j, n, 3, 3, 5, 1), {"h": 3, "l": 5}),
    "radial": Definition(lambda i, j, n: radial(i, j, 9, 2, 16), {"tokens": 9, "bits": 4, "b": 2, "groups": 4}),
    "radial_small": Definition(lambda i, j, n: radial(i, j, 12, 2, 8), {"tokens": 12, "bits": 4, "b": 2, "groups": 3}),
    "image_local": Definition(
        lambda i, j, n: memory_block(i, j, (2, 4), (3, 2), 3), {"p": 2, "q": 4, "h": 3, "w": 2, "m": 3}
    ),
    "image_small": Definition(lambda i, j, n: memory_block(i, j, (3, 2), (1, 2), 4), {"p": 3, "q": 2, "h": 1, "m": 4}),
}
