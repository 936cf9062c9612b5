"""A mask as an SVG or PNG picture. The same grid gives the same bytes, so that pictures can be golden files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from .grid import Grid
from .palette import INK, OPEN_COLOR, PAPER, STEPS, blend, channels

_SIDE = 512  # pixels of the longer side
_SHADES = 4  # a sampled cell is drawn in one of so many strengths


def svg(grid: Grid, steps: Sequence[str], title: str) -> str:
    """One path per step and shade; runs of equal cells are one rectangle, and equal runs of consecutive rows too."""
    scale = _SIDE / max(grid.rows, grid.columns)
    width, height = round(grid.columns * scale), round(grid.rows * scale)
    legend = 24 * (len(steps) + bool(grid.open.any()))
    size = f'width="{width + 20}" height="{height + 50 + legend}"'
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="14" fill="{INK}">',
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        f'<text x="10" y="22">{escape(title)}</text>',
        f'<g transform="translate(10 34) scale({scale:.6g})" shape-rendering="crispEdges">',
        *(f'<path fill="{color}" d="{path}"/>' for color, path in _paths(grid)),
        "</g>",
        f'<rect x="10" y="34" width="{width}" height="{height}" fill="none" stroke="{INK}"/>',
    ]
    entries = [(STEPS[number % len(STEPS)], step) for number, step in enumerate(steps)]
    entries += [(OPEN_COLOR, "if selected")] if grid.open.any() else []
    for number, (color, step) in enumerate(entries):
        y = height + 44 + 24 * number
        out.append(f'<rect x="10" y="{y}" width="14" height="14" fill="{color}"/>')
        out.append(f'<text x="32" y="{y + 12}">{escape(step)}</text>')
    return "\n".join([*out, "</svg>", ""])


def _paths(grid: Grid) -> list[tuple[str, str]]:
    ink = _inks(grid)
    parts: dict[str, list[str]] = {}
    open_runs: dict[tuple[int, int, str], int] = {}  # (start, end, colour) -> the row where the rectangle began
    for row in range(grid.rows + 1):
        runs = _runs(ink[row]) if row < grid.rows else set()
        for run in sorted(open_runs.keys() - runs):
            start, end, color = run
            top = open_runs.pop(run)
            parts.setdefault(color, []).append(f"M{start} {top}h{end - start}v{row - top}h{start - end}z")
        for run in runs - open_runs.keys():
            open_runs[run] = row
    return [(color, "".join(parts[color])) for color in sorted(parts)]


def _runs(row: list[str]) -> set[tuple[int, int, str]]:
    runs, start = set(), 0
    for column in range(1, len(row) + 1):
        if column == len(row) or row[column] != row[start]:
            if row[start] != PAPER:
                runs.add((start, column, row[start]))
            start = column
    return runs


def _inks(grid: Grid) -> list[list[str]]:
    """The colour of every cell: its step's, paler where fewer of the cell's pairs attend."""
    ramp = [0.4 + 0.6 * shade / _SHADES for shade in range(_SHADES + 1)]
    shades = [[PAPER] * len(ramp), *([blend(color, share) for share in ramp] for color in (*STEPS, OPEN_COLOR))]
    strength = np.ceil(grid.density * _SHADES).astype(int).tolist()
    owners = np.where(grid.owner > 0, (grid.owner.astype(int) - 1) % len(STEPS) + 1, 0)
    owners = np.where(grid.open, len(STEPS) + 1, owners).tolist()
    return [
        [shades[owner][shade] for owner, shade in zip(owners[row], strength[row], strict=True)]
        for row in range(grid.rows)
    ]


def png(grid: Grid) -> bytes:
    """The cells alone, without title and legend, as whole pixels per cell."""
    zoom = max(1, _SIDE // max(grid.rows, grid.columns))
    pixels = np.array([[channels(color) for color in row] for row in _inks(grid)], dtype=np.uint8)
    return encode_png(pixels.repeat(zoom, axis=0).repeat(zoom, axis=1))


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """[height, width, 3] of RGB bytes as a PNG file (RFC 2083): signature, header, one deflated block, end."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each row starts with filter type 0
    rows[:, 1:] = pixels.reshape(height, 3 * width)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
