"""A comparison as text for people and as JSON. Where ours is slower, a line says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from ...compiler.report.explanation import table
from ...compiler.report.palette import Paint
from ...compiler.report.prediction import duration
from .side_by_side import Measured, SideBySide
from .spread import Spread

LOSS = 0.95
"""Below this ratio ours is called slower: less is within what two runs of the same code differ by."""


def as_json(found: SideBySide) -> str:
    return json.dumps({"version": 1, **asdict(found)}, indent=2)


def text(found: SideBySide, paint: Paint) -> str:
    return "\n".join(_lines(found, paint))


def _lines(found: SideBySide, paint: Paint) -> Iterator[str]:
    settings = found.settings
    shape = f"{settings.dtype}, batch {settings.batch}, {settings.heads} heads of {settings.head_dim}"
    yield paint(found.pattern, "bold") + f", {shape}, engine {found.engine}"
    threads = f"{found.threads} thread{'s' * (found.threads > 1)}"
    load = "" if found.load is None else f", load {found.load} before the run"
    yield f"{found.machine}, {threads}{load}; medians of {settings.rounds} rounds in turns"
    yield ""
    head = ("n", "pass", "ours", "predicted", "as", "rival", "takes", "predicted", "ours is faster by", "quartiles")
    yield from table(head, [_row(row) for row in found.measured], paint)
    for row in found.measured:
        if row.ratio.median < LOSS:
            yield paint(f"  slower than {row.rival} at n = {row.n:,}, {row.direction}: {row.ratio.median:.2f}", "red")
    for reason in found.missing:
        yield f"  did not run: {reason}"


def _row(row: Measured) -> tuple[str, ...]:
    return (
        f"{row.n:,}",
        row.direction,
        _spread(row.ours),
        _seconds(row.predicted),
        row.way or "",
        row.rival,
        _spread(row.other),
        _seconds(row.rival_predicted),
        f"{row.ratio.median:.2f}",
        f"{row.ratio.quartile_1:.2f}..{row.ratio.quartile_3:.2f}",
    )


def _spread(spread: Spread) -> str:
    """The median, and half the distance of the quartiles."""
    half = (spread.quartile_3 - spread.quartile_1) / 2 / spread.median
    return f"{duration(spread.median)} ±{half:.0%}"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else duration(seconds)
