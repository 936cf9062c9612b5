"""What is left of a run of tiles where only the first queries and keys exist."""

from __future__ import annotations

from collections.abc import Iterator

from ..plan.tiles import Tiles


def left_of(tiles: Tiles, rows: int, keys: int) -> Iterator[Tiles]:
    """Runs of tiles of one shape, or that grow evenly, of which so many rows and keys exist."""
    # Of what all tiles share, and where all of them end, the same is left for all.
    key_step = tiles.key_step + tiles.growth  # of the ends
    shared_rows = tiles.rows if tiles.row_step else min(tiles.rows, rows - tiles.row)
    shared_keys = tiles.keys if key_step else min(tiles.keys, keys - tiles.key)
    if (shared_rows, shared_keys) != (tiles.rows, tiles.keys):
        tiles = _with_keys(tiles.first_of_each(shared_rows, shared_keys))
    if tiles.rows <= 0:
        return
    whole = within(tiles.row + tiles.rows, tiles.row_step, rows, tiles.count)
    whole = within(tiles.key + tiles.keys, key_step, keys, whole)
    if whole:
        yield tiles.part(0, whole)
    for tile in (tiles.part(tile, 1) for tile in range(whole, tiles.count)):
        left = min(tile.rows, rows - tile.row), min(tile.keys, keys - tile.key)
        if min(left) > 0:
            yield tile.first_of_each(*left)


def _with_keys(tiles: Tiles) -> Tiles:
    """The tiles of a run that have a key: of what grows the last ones, of what shrinks the first."""
    keys, growth = tiles.keys, tiles.growth
    if growth > 0:
        first, last = max(0, -keys // growth + 1), tiles.count
    else:
        first, last = 0, 0 if keys <= 0 else min(tiles.count, -(keys // growth)) if growth else tiles.count
    return tiles.part(first, max(0, last - first))


def within(end: int, step: int, length: int, count: int) -> int:
    """How many tiles, from the first on, whose ends are so far apart, end within the length."""
    if end > length:
        return 0
    return count if step <= 0 else min(count, (length - end) // step + 1)
