"""A batch of a plan where whole periods are put in between the first tokens and the last ones.

What is near the first tokens stays, and what is near the last ones is moved; what reaches from one to the other is as
much larger, or has as many more tiles. By how much is the same for each period.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from .....compiler.passes.program import Order
from ..plan.block import Block
from ..plan.periodic import Periodic
from ..plan.tiles import Tiles


class Ends(NamedTuple):
    """Of the ranks of a class: how many there are, how many a period has, and how many at either end are near it."""

    ranks: int
    period: int
    near: int

    def moved(self, at: int) -> int | None:
        """By how many ranks one moves with each period; None where it is near neither end."""
        return 0 if at <= self.near else self.period if self.ranks - at <= self.near else None

    def alike(self, first: int, last: int) -> int | None:
        """By how many all of a run do; None where not all do alike."""
        moved = self.moved(first)
        return moved if moved == self.moved(last) else None

    def through(self, first: int, last: int, size: int) -> bool:
        """Whether a run of so many ranks each begins near the first of all and ends near the last."""
        return self.alike(first, first + size) == 0 and self.alike(last, last + size) == self.period

    def more(self, step: int, last: int) -> int:
        """How many steps a period has; 0 where it is no whole number."""
        return self.period // step if last and step > 0 and self.period % step == 0 else 0


class Growth(NamedTuple):
    """What tiles gain with each period, in the order of their fields."""

    row: int = 0
    rows: int = 0
    row_step: int = 0
    key: int = 0
    keys: int = 0
    key_step: int = 0
    more: int = 0  # tiles

    def of(self, tiles: Tiles, periods: int) -> Tiles:
        """The tiles where so many are put in."""
        return Tiles(
            tiles.row + periods * self.row,
            tiles.rows + periods * self.rows,
            tiles.row_step + periods * self.row_step,
            tiles.key + periods * self.key,
            tiles.keys + periods * self.keys,
            tiles.key_step + periods * self.key_step,
            tiles.count + periods * self.more,
            tiles.growth,
        )

    @property
    def resizes(self) -> bool:
        """Whether tiles are other ones then, or more, not only elsewhere."""
        return bool(self.rows or self.keys or self.more)


def growths(
    blocks: Iterable[Block], periodic: Periodic, orders: tuple[Order, Order], n: int
) -> list[tuple[Block, Growth]] | None:
    """All batches of a plan for n tokens, what is one rectangle as one; None where one does not come again."""
    near = periodic.near(n)
    found: list[tuple[Block, Growth]] = []
    for block in map(_as_rectangle, blocks):
        sides = (
            Ends(order.ranks(cls, n), periodic.ranks(order), near * periodic.ranks(order))
            for order, cls in zip(orders, (block.first_class, block.key_class), strict=True)
        )
        if (grown := _growth(block, *sides)) is None:
            return None
        found.append((block, grown))
    return found


def _as_rectangle(block: Block) -> Block:
    """Tiles without a mask that are one behind the other, and have the same keys, as one."""
    tiles = block.tiles
    plain = block.mask is None and not block.triangle and not tiles.growth
    if plain and tiles.count > 1 and tiles.row_step == tiles.rows and tiles.key_step == 0:
        return replace(block, tiles=replace(tiles, rows=tiles.rows * tiles.count, row_step=0, count=1))
    return block


def _growth(block: Block, query: Ends, key: Ends) -> Growth | None:
    """None where tiles end neither near the first tokens nor near the last ones, or come not again with a period."""
    found = _moved(block.tiles, query, key) or _continued(block.tiles, query, key)
    if found is None or (block.mask is not None and (found.rows or found.keys)):
        return None
    # Of a triangle it counts how far a rank of either side is from the first one.
    if block.triangle and any(found) and (query.period != key.period or found[:3] != found[3:6]):
        return None
    return found


def _moved(tiles: Tiles, query: Ends, key: Ends) -> Growth | None:
    """Of tiles that all stay, or all are moved; of two, one may stay."""
    last = tiles.count - 1
    one, two = (_ends_moved(tiles.part(at, 1), query, key) for at in (0, last))
    if one is None or two is None or (one.rows, one.keys) != (two.rows, two.keys):
        return None
    steps = two.row - one.row, two.key - one.key
    if steps != (0, 0) and last != 1:
        return None
    return one._replace(row_step=steps[0], key_step=steps[1])


def _ends_moved(tile: Tiles, query: Ends, key: Ends) -> Growth | None:
    row, row_end = query.moved(tile.row), query.moved(tile.row + tile.rows)
    begin, end = key.moved(tile.key), key.moved(tile.key + tile.keys)
    if row is None or row_end is None or begin is None or end is None:
        return None
    return Growth(row=row, rows=row_end - row, key=begin, keys=end - begin)


def _continued(tiles: Tiles, query: Ends, key: Ends) -> Growth | None:
    """Of a run from near the first tokens to near the last ones, which goes on."""
    last = tiles.count - 1
    if tiles.growth or last == 0:
        return None
    rows, keys = (tiles.row, tiles.row + last * tiles.row_step), (tiles.key, tiles.key + last * tiles.key_step)
    row_more, key_more = query.more(tiles.row_step, last), key.more(tiles.key_step, last)
    on_rows, on_keys = (
        query.through(*rows, tiles.rows) and row_more > 0,
        key.through(*keys, tiles.keys) and key_more > 0,
    )
    if on_rows and on_keys:
        return Growth(more=row_more) if row_more == key_more else None
    tile = _ends_moved(tiles.part(0, 1), query, key)
    if on_rows and tiles.key_step == 0 and (begin := key.moved(tiles.key)) is not None:
        end = key.moved(tiles.key + tiles.keys)
        return None if end is None else Growth(key=begin, keys=end - begin, more=row_more)
    if on_keys and tiles.row_step == 0 and tile is not None:
        return tile._replace(key=0, keys=0, more=key_more)
    return None
