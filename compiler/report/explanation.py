"""The account of `patternc explain` as a table for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from .palette import Paint

if TYPE_CHECKING:
    from ..explain import Account

_INTERVALS = 12  # of a query's keys, before the rest is only counted


def as_json(account: Account) -> str:
    """Every number, the derived ones included. ``version`` rises when a field changes its meaning."""
    derived = {
        "tiles": account.tiles,
        "density": account.density,
        "waste": account.waste,
        "kernels": account.kernels,
        "flops": account.flops(account.tiles),
        "dense_flops": account.flops(account.dense_tiles),
        "bytes": account.bytes_moved(account.tiles, account.kernels),
        "dense_bytes": account.bytes_moved(account.dense_tiles, 1),
    }
    return json.dumps({"version": 1, **asdict(account), **derived}, indent=2)


def text(account: Account, paint: Paint) -> str:
    """The whole account; numbers are per head."""
    return "\n".join(_lines(account, paint))


def _lines(account: Account, paint: Paint) -> Iterator[str]:
    about = "" if account.exact else "about "
    tiles, dense = account.tiles, account.dense_tiles
    yield paint(f"{account.pattern} at n = {account.length:,}", "bold") + f", head_dim {account.head_dim}, per head"
    yield f"  kind     {account.kind}; index tables {account.table_bytes} bytes"
    yield f"  pairs    {about}{account.pairs:,} of {account.dense_pairs:,} ({account.density:.2%})"
    yield (
        f"  tiles    {tiles:,} of {dense:,} that a dense kernel computes ({_times(dense, tiles)} fewer), "
        f"{account.tile.query} x {account.tile.key}; waste {account.waste:.1%}"
    )
    yield f"  FLOPs    {_si(account.flops(tiles))} beside {_si(account.flops(dense))} dense, forward"
    moved, dense_moved = account.bytes_moved(tiles, account.kernels), account.bytes_moved(dense, 1)
    yield f"  bytes    {_si(moved)} beside {_si(dense_moved)} dense, forward, 2-byte elements"
    yield ""
    rows = [("kernel", "term", "line", "queries / keys in order", "full tiles", "masked tiles")]
    rows += [
        (str(s.kernel), s.label, str(s.line), s.orders, f"{s.full_tiles:,}", f"{s.masked_tiles:,}")
        for s in account.shares
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield "  " + (paint(line, "dim") if number == 0 else line)
    if account.query is not None:
        yield ""
        yield f"  query {account.query} attends to {_keys(account.keys)}"


def _keys(intervals: tuple[tuple[int, int], ...]) -> str:
    if not intervals:
        return "no key"
    total = sum(high - low + 1 for low, high in intervals)
    shown = ", ".join(str(low) if low == high else f"{low}..{high}" for low, high in intervals[:_INTERVALS])
    more = f", and {len(intervals) - _INTERVALS} more runs" if len(intervals) > _INTERVALS else ""
    return f"{total:,} key{'s' if total > 1 else ''}: {shown}{more}"


def _times(whole: int, part: int) -> str:
    return f"{whole / max(1, part):.1f} times"


def _si(value: float) -> str:
    for unit in ("", "k", "M", "G", "T"):
        if value < 1000:
            return f"{value:.3g}{unit}"
        value /= 1000
    return f"{value:.3g}P"
