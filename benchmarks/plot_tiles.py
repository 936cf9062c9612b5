"""Draws a result of tiles.py: what stock patterns compute, beside what their pairs need and what FlexAttention would.

    python benchmarks/plot_tiles.py [benchmarks/results/tiles.json] [--to docs]

One line a pattern, the most wasteful for FlexAttention on top; 1 is what the pairs fill. The axis is logarithmic. From
the file alone, as plot.py draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from plot import COLORS, FAINT, INK, Axis, record_to_draw
from tiles import MOST_WASTE

SUBJECTS = {"flex": COLORS["flex"], "ours": COLORS["ours, compose"]}
LABELS = {"flex": "FlexAttention", "ours": "patternc"}
RADII = {"flex": 4.6, "ours": 3.0}  # where both are equal both are seen
LINE, NAMES, ACROSS, TOP, BELOW, RIGHT = 14, 216, 520, 62, 10, 24


def main() -> None:
    file, document, folder = record_to_draw(__doc__, "tiles.json")
    path = folder / f"{file.stem}.svg"
    path.write_text(svg(document["patterns"], document["settings"]["n"]), encoding="utf-8")
    print(f"written: {path}")


def svg(patterns: Sequence[dict[str, Any]], n: int) -> str:
    """``patterns``: rows of tiles.py."""
    rows = sorted(patterns, key=lambda row: (-row["flex/needed"], row["pattern"]))
    axis = Axis.over([row[f"{who}/needed"] for row in rows for who in SUBJECTS], 10, ACROSS)
    height = TOP + LINE * len(rows)
    style = f'font-family="sans-serif" font-size="11" fill="{INK}"'
    size = f"{NAMES + ACROSS + RIGHT} {height + BELOW}"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" {style}>',
        f'<rect width="{NAMES + ACROSS + RIGHT}" height="{height + BELOW}" fill="#ffffff"/>',
        f'<text x="10" y="18" font-size="13">Scores computed / pairs that attend, {n:,} tokens</text>',
        *_legend(),
        f'<g transform="translate({NAMES} {TOP})">',
    ]
    for tick in axis.ticks():
        x = axis.place(tick)
        out.append(f'<path d="M{x:.1f} 0V{height - TOP}" stroke="{FAINT}"/>')
        out.append(f'<text x="{x:.1f}" y="-6" text-anchor="middle">{tick:g}</text>')
    out.append(f'<path d="M{axis.place(MOST_WASTE):.1f} 0V{height - TOP}" stroke="{INK}" stroke-dasharray="2 3"/>')
    for index, row in enumerate(rows):
        out += _row(row, axis, LINE * index + LINE / 2)
    return "\n".join([*out, "</g>", "</svg>", ""])


def _legend() -> list[str]:
    out, x = [], 14
    for who, color in SUBJECTS.items():
        out.append(f'<circle cx="{x}" cy="34" r="{RADII[who]}" fill="{color}"/>')
        out.append(f'<text x="{x + 9}" y="38">{LABELS[who]}</text>')
        x += 34 + 6 * len(LABELS[who])
    return [*out, f'<text x="{x}" y="38">dashed: {MOST_WASTE}, the most that is wanted</text>']


def _row(row: dict[str, Any], axis: Axis, y: float) -> list[str]:
    places = {who: axis.place(row[f"{who}/needed"]) for who in SUBJECTS}
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADII[who]}" fill="{SUBJECTS[who]}"/>' for who, x in places.items()]
    line = (
        f'<path d="M{min(places.values()):.1f} {y:.1f}H{max(places.values()):.1f}" stroke="{FAINT}" stroke-width="2"/>'
    )
    return [f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{escape(row["pattern"])}</text>', line, *dots]


if __name__ == "__main__":
    main()
