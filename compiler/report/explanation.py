"""The account of `patternc explain` as text for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from . import prediction
from .palette import Paint

if TYPE_CHECKING:
    from ..explain import Account
    from ..explain.cost import Search, Share, Size
    from ..explain.counts import Bound
    from ..explain.hops import Hops
    from ..explain.prediction import BreakEven, Prediction

_INTERVALS = 12  # of a query's keys, before the rest is only counted
_ORDERS = 3  # of those that were rejected, before the rest is only counted
_HOPS = 6  # of a histogram, before the rest is added up


def as_json(account: Account, predicted: Prediction | None = None, lists: Sequence[BreakEven] = ()) -> str:
    """Every number, the derived ones included. ``version`` rises when a field changes its meaning."""
    found = _plain(account)
    found["terms"] = [
        {"step": term.step, "term": term.text, "line": term.line, "kind": str(term.kind)} for term in account.terms
    ]
    found |= {"density": account.density, "waste": account.waste}
    if account.cost is not None:
        price = account.cost
        found["cost"] |= {
            "tiles": price.tiles,
            "kernels": price.kernels,
            "flops": price.flops(price.tiles),
            "dense_flops": price.flops(price.dense_tiles),
            "bytes": price.bytes_moved(price.reads, price.kernels),
            "dense_bytes": price.dense_bytes,
        }
    found["prediction"] = None if predicted is None else prediction.plain(predicted)
    found["lists_up_to"] = {each.selector: each.density for each in lists}
    return json.dumps({"version": 2, **found}, indent=2)


def _plain(account: Account) -> dict[str, Any]:
    from dataclasses import replace

    return asdict(replace(account, terms=()))


def text(account: Account, paint: Paint, predicted: Prediction | None = None, lists: Sequence[BreakEven] = ()) -> str:
    """The whole account; numbers are per head, but for the predicted time of a call."""
    return "\n".join(_lines(account, paint, predicted, lists))


def _lines(account: Account, paint: Paint, predicted: Prediction | None, lists: Sequence[BreakEven]) -> Iterator[str]:
    yield paint(f"{account.pattern} at n = {account.length:,}", "bold") + f", {account.direction}, per head"
    yield f"  kind     {account.kind}"
    about = "" if account.exact else "about "
    possible = f"; up to {about}{account.possible:,} if selected" if account.possible > account.pairs else ""
    yield f"  pairs    {about}{account.pairs:,} of {account.dense_pairs:,} ({account.density:.2%}){possible}"
    yield f"  keys     {bound_in_words(account.most_keys)} per query"
    if account.cache is not None:
        yield f"  KV cache {bound_in_words(account.cache)} stay live"
    if account.hops is not None:
        yield f"  reach    {hops_in_words(account.hops)}"
    for advice in account.advice:
        yield paint(f"  advice   {advice}", "cyan")
    yield from _cost(account)
    if predicted is not None:
        yield from prediction.lines(predicted)
    yield from prediction.ways(lists)
    yield ""
    yield from table(
        ("step", "term", "line", "kind"),
        [(term.step, term.text, str(term.line), str(term.kind)) for term in account.terms],
        paint,
    )
    if account.cost is not None:
        yield ""
        yield from table(
            ("kernel", "term", "line", "queries / keys in order", "full tiles", "masked tiles", "diagonals"),
            [(str(s.kernel), s.label, str(s.line), s.orders, *_visits(s)) for s in account.cost.shares],
            paint,
        )
    if account.query is not None:
        yield ""
        yield f"  query {account.query} attends to {_keys(account.keys)}"
        if account.possible_keys != account.keys:
            yield f"  and could attend to {_keys(account.possible_keys)}"


def _visits(share: Share) -> tuple[str, ...]:
    return tuple(f"{count:,}" for count in (share.full_tiles, share.masked_tiles, share.diagonals))


def _cost(account: Account) -> Iterator[str]:
    price = account.cost
    if price is None:
        yield f"  cost     {account.no_cost}"
        return
    tiles, dense = price.tiles, price.dense_tiles
    yield (
        f"  tiles    {tiles:,} of {dense:,} that a dense kernel computes ({_times(dense, tiles)} fewer), "
        f"{price.tile.query} x {price.tile.key}; waste {price.waste(account.pairs):.1%}"
    )
    yield from _sizes(price.sizes)
    yield from _searches(price.searches)
    yield f"  FLOPs    {_si(price.flops(tiles))} beside {_si(price.flops(dense))} dense, forward"
    moved, dense_moved = price.bytes_moved(price.reads, price.kernels), price.dense_bytes
    yield (
        f"  bytes    {_si(moved)} beside {_si(dense_moved)} dense, forward, head_dim {price.head_dim}, "
        f"2-byte elements; index tables {price.table_bytes}"
    )


def _sizes(sizes: Sequence[Size]) -> Iterator[str]:
    """The tile that was taken and the others that were tried, where there are some: tables alone have no tile."""
    if len(sizes) > 1:
        taken, *others = sizes
        rest = ", ".join(_size(one) for one in others)
        yield f"  tile     {_size(taken)}; rejected: {rest}; prices in tiles of 128 x 128 at n = {taken.length:,}"


def _searches(searches: Sequence[Search]) -> Iterator[str]:
    """Of each term the orders that were taken and those that were rejected, where some were."""
    head = "  orders   "
    for each in searches:
        if each.rejected:
            shown = [f"{orders} ({tiles:,})" for orders, tiles in each.rejected[:_ORDERS]]
            more = len(each.rejected) - len(shown)
            shown += [f"{more} more"] * (more > 0)
            taken = f"`{each.label}` {each.orders} ({each.tiles:,} tiles at n = {each.length:,})"
            yield f"{head}{taken}; rejected: {', '.join(shown)}"
            head = " " * len(head)


def _size(size: Size) -> str:
    """``32 x 32 (1,023 tiles, price 166)``."""
    return f"{size.tile.query} x {size.tile.key} ({size.tiles:,} tiles, price {size.price:,.0f})"


def bound_in_words(bound: Bound) -> str:
    """``at most min(n, 1028), for every length: 1,028 here``."""
    most = "at most" if bound.exact else "no more than"
    here = "not counted here" if bound.at is None else f"{bound.at:,} here"
    if bound.formula is None:
        return f"{most} {bound.at:,}" if bound.at is not None else "not counted"
    if bound.formula.isdecimal():
        return f"{most} {bound.formula}, {bound.when}"
    return f"{most} {bound.formula}, {bound.when}: {here}"


def hops_in_words(hops: Hops) -> str:
    """How many layers connect every pair, and how many pairs each adds."""
    query, key, layers = hops.worst
    if hops.proved is not None:
        head = f"every pair within {hops.proved} layer{'s' * (hops.proved != 1)}, for every length"
    elif hops.never:
        head = f"{hops.never:,} pairs never, such as ({query}, {key})"
    else:
        head = f"every pair within {layers} layer{'s' * (layers != 1)} at n = {hops.length:,}, last ({query}, {key})"
    shown = [f"{number}: {count:,}" for number, count in enumerate(hops.histogram, start=1)]
    if len(shown) > _HOPS:
        rest = sum(hops.histogram[_HOPS - 1 :])
        shown = [*shown[: _HOPS - 1], f"{_HOPS}..{len(hops.histogram)}: {rest:,}"]
    return f"{head}; pairs by layers at n = {hops.length:,}: {', '.join(shown)}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], paint: Paint) -> Iterator[str]:
    """Rows under a head, in columns."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for number, row in enumerate((head, *rows)):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield "  " + (paint(line, "dim") if number == 0 else line)


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
