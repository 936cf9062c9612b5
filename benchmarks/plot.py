"""Draws a result of attention.py: time over length, one panel per pattern, one picture per pass.

    python benchmarks/plot.py [benchmarks/results/attention-cpu.json] [--to docs]

From the file alone: the same file gives the same bytes. Both axes are logarithmic; a line that ends early ends where
its contestant was left out. Written as SVG by hand, so that drawing needs no package.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from record import RESULTS

PASSES = {"forward": "forward", "forward+backward": "forward and backward", "decode": "one step of decoding"}
SHOWN = ("dense", "flex", "expert", "NATTEN", "FlashInfer", "flash-attn", "DeepSpeed", "ours, compose", "ours, triton")
# Okabe and Ito's colours, which stay apart for the colour-blind; what is ours is thicker, and below.
COLORS = {
    "dense": "#777777",
    "flex": "#e69f00",
    "flex + mask": "#e69f00",
    "expert": "#009e73",
    "NATTEN": "#cc79a7",
    "FlashInfer": "#56b4e9",
    "flash-attn": "#f0e442",
    "DeepSpeed": "#000000",
    "ours, compose": "#0072b2",
    "ours, triton": "#d55e00",
}
WIDTH, HEIGHT, GAP, LEFT, TOP, ACROSS = 250, 180, 56, 58, 66, 3
INK, FAINT = "#222222", "#dddddd"


@dataclass(frozen=True)
class Panel:
    """One pattern: by contestant its points (length, milliseconds)."""

    title: str
    lines: dict[str, list[tuple[int, float]]]


def main() -> None:
    file, document, folder = record_to_draw(__doc__, "attention-cpu.json")
    for what in PASSES:
        if found := panels(document, what):
            path = folder / f"{file.stem}-{what.replace('+', '-')}.svg"
            path.write_text(svg(found, caption(document, what)), encoding="utf-8")
            print(f"written: {path}")


def record_to_draw(about: str | None, name: str) -> tuple[Path, dict[str, Any], Path]:
    """What the command line of a plot asks for, ``name`` unless it says otherwise: a file, its record, and the folder
    for pictures of it."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=RESULTS / name)
    parser.add_argument("--to", type=Path, default=Path(__file__).parents[1] / "docs", help="the folder")
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    return options.file, json.loads(options.file.read_text(encoding="utf-8")), options.to


def panels(document: dict[str, Any], what: str) -> list[Panel]:
    """Those in which something of ours was timed, in the order of the file."""
    names = dict.fromkeys(name for result in document["results"] for name in result.get("dense", ()))
    found = [Panel(name, _lines(document, name, what)) for name in names if name != "dense"]
    return [panel for panel in found if any(label.startswith("ours") for label in panel.lines)]


def _lines(document: dict[str, Any], name: str, what: str) -> dict[str, list[tuple[int, float]]]:
    lines: dict[str, list[tuple[int, float]]] = {}
    for result in document["results"]:
        n = result["settings"]["n"]
        times = {(row["pattern"], row["pass"], row["contestant"]): row["median"] for row in result["seconds"]}
        for contestant in SHOWN:
            subject = result["dense"].get(name, "") if contestant == "dense" else name
            if seconds := times.get((subject, what, contestant)):
                lines.setdefault(contestant, []).append((n, 1e3 * seconds))
                mask = times.get((name, "mask, one query" if what == "decode" else "mask", contestant))
                if mask:
                    lines.setdefault(f"{contestant} + mask", []).append((n, 1e3 * (seconds + mask)))
    return lines


def caption(document: dict[str, Any], what: str) -> str:
    settings, machine = document["results"][0]["settings"], document["machine"]
    where = machine.get("gpu") or f"{settings['threads']} threads of {machine['cpu']}"
    shape = f"B={settings['batch']}, H={settings['heads']}, D={settings['head_dim']}, {settings['dtype']}"
    return f"Milliseconds over length, {PASSES[what]}: {shape}; {where}; torch {document['versions']['torch']}"


def svg(found: Sequence[Panel], title: str) -> str:
    across = min(ACROSS, len(found))
    rows = -(-len(found) // across)
    width = LEFT + across * (WIDTH + GAP)
    height = TOP + rows * (HEIGHT + GAP) + 8
    labels = [label for label in COLORS if any(label in panel.lines for panel in found)]
    style = f'font-family="sans-serif" font-size="12" fill="{INK}"'
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="18" font-size="13">{escape(title)}</text>',
        *_legend(labels),
    ]
    for index, panel in enumerate(found):
        x, y = LEFT + index % across * (WIDTH + GAP), TOP + index // across * (HEIGHT + GAP)
        out += [f'<g transform="translate({x} {y})">', *_panel(panel), "</g>"]
    return "\n".join([*out, "</svg>", ""])


def _legend(labels: Sequence[str]) -> list[str]:
    out, x = [], 10
    for label in labels:
        out.append(_path([(x, 34), (x + 24, 34)], label))
        out.append(f'<text x="{x + 30}" y="38">{escape(label)}</text>')
        x += 46 + 7 * len(label)
    return out


def _panel(panel: Panel) -> list[str]:
    points = [point for line in panel.lines.values() for point in line]
    columns = Axis.over([n for n, _ in points], 2, WIDTH)
    heights = Axis.over([time for _, time in points], 10, HEIGHT)
    out = [f'<text x="0" y="-6" font-weight="bold">{escape(panel.title)}</text>']
    for tick in heights.ticks():
        y = HEIGHT - heights.place(tick)
        out.append(f'<path d="M0 {y:.1f}h{WIDTH}" stroke="{FAINT}"/>')
        out.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in sorted({n for n, _ in points}):
        x = columns.place(tick)
        out.append(f'<path d="M{x:.1f} {HEIGHT}v4" stroke="{INK}"/>')
        out.append(f'<text x="{x:.1f}" y="{HEIGHT + 17}" text-anchor="middle">{_short(tick)}</text>')
    out.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="{INK}"/>')
    for label in (each for each in reversed(COLORS) if each in panel.lines):
        line = [(columns.place(n), HEIGHT - heights.place(time)) for n, time in sorted(panel.lines[label])]
        out.append(_path(line, label))
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{COLORS[label]}"/>' for x, y in line]
    return out


@dataclass(frozen=True)
class Axis:
    """Whole powers of ``base`` on ``size`` pixels."""

    base: int
    low: int
    high: int
    size: int

    @classmethod
    def over(cls, values: Sequence[float], base: int, size: int) -> Axis:
        low = math.floor(math.log(min(values), base) + 1e-9)
        high = math.ceil(math.log(max(values), base) - 1e-9)
        return cls(base, low, max(high, low + 1), size)

    def place(self, value: float) -> float:
        return self.size * (math.log(value, self.base) - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        return [float(self.base) ** k for k in range(self.low, self.high + 1)]


def _path(points: Sequence[tuple[float, float]], label: str) -> str:
    width = 2.4 if label.startswith("ours") else 1.5
    dashes = ' stroke-dasharray="4 3"' if label.endswith("+ mask") else ""
    route = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{route}" fill="none" stroke="{COLORS[label]}" stroke-width="{width}"{dashes}/>'


def _short(n: int) -> str:
    if n >= 1 << 20 and n % (1 << 20) == 0:
        return f"{n >> 20}M"
    return f"{n >> 10}k" if n >= 1024 and n % 1024 == 0 else str(n)


if __name__ == "__main__":
    main()
