"""wording: the orders of placements in words, for people."""

from __future__ import annotations

from collections.abc import Sequence

from .order import ALONE
from .placement import Placement
from .program import NATURAL, Order


def describe(placements: Sequence[Placement]) -> str:
    """As in ``residue 128 / residue 128``."""
    names = dict.fromkeys(f"{_name(one.query)} / {_name(one.key)}{_form(one)}" for one in placements)
    return ", ".join(names)


def _form(placement: Placement) -> str:
    if placement.diagonal:
        return " by diagonals"
    if placement.tile is not None:
        return f" in tiles of {placement.tile.query} x {placement.tile.key}"
    return f" by rows of {placement.row}" if placement.row else ""


def _name(order: Order) -> str:
    if order == NATURAL:
        return "natural"
    if order.classes > 1:
        return f"residue {order.period}"
    if order.tiled:
        boxes = f"boxes of {' x '.join(map(str, reversed(order.box)))}"
        return f"{boxes} from {order.start}" if order.start else boxes
    if order.period == ALONE:
        return f"{order.start}..{order.start + order.count - 1} alone"
    return f"packed {order.count} of {order.period} from {order.start}"
