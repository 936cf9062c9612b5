"""A mask drawn in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .grid import Grid
from .palette import GLYPHS, OPEN, OPEN_XTERM, STEPS_XTERM

_OPEN = len(STEPS_XTERM) + 1
_HUES = (0, *STEPS_XTERM, OPEN_XTERM)


def draw(grid: Grid, steps: Sequence[str], color: bool) -> str:
    """The grid as lines of text with a legend below, queries downwards and keys to the right.

    With colour a character holds two rows (the upper half block), so that cells are about square. Without, each
    character is one cell and its glyph tells the step.
    """
    lines = _half_blocks(grid) if color else _glyphs(grid)
    return "\n".join([*lines, _legend(grid, steps, color)])


def _glyphs(grid: Grid) -> list[str]:
    signs = "·" + GLYPHS
    return [
        "".join(OPEN if undecided else signs[_clip(owner)] for owner, undecided in zip(row, opens, strict=True))
        for row, opens in zip(grid.owner.tolist(), grid.open.tolist(), strict=True)
    ]


def _half_blocks(grid: Grid) -> list[str]:
    # An open cell has a hue of its own, whichever step it belongs to: nothing is certain about it.
    rows: list[list[int]] = np.where(grid.open, _OPEN, np.array(list(map(_clip, range(256))))[grid.owner]).tolist()
    rows += [[0] * grid.columns] * (len(rows) % 2)
    return [
        "".join(_half_block(top, bottom) for top, bottom in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def _half_block(top: int, bottom: int) -> str:
    if not top and not bottom:
        return " "
    if top == bottom:
        return f"\x1b[38;5;{_HUES[top]}m█\x1b[0m"
    if not bottom:
        return f"\x1b[38;5;{_HUES[top]}m▀\x1b[0m"
    if not top:
        return f"\x1b[38;5;{_HUES[bottom]}m▄\x1b[0m"
    return f"\x1b[38;5;{_HUES[top]};48;5;{_HUES[bottom]}m▀\x1b[0m"


def _clip(owner: int) -> int:
    """A pattern may have more steps than there are colours: the colours then come round again."""
    return 0 if owner == 0 else 1 + (owner - 1) % len(STEPS_XTERM)


def _legend(grid: Grid, steps: Sequence[str], color: bool) -> str:
    signs = []
    for number, step in enumerate(steps, start=1):
        glyph = f"\x1b[38;5;{_HUES[_clip(number)]}m█\x1b[0m" if color else GLYPHS[_clip(number) - 1]
        signs.append(f"{glyph} {step}")
    if grid.open.any():
        glyph = f"\x1b[38;5;{_HUES[_OPEN]}m█\x1b[0m" if color else OPEN
        signs.append(f"{glyph} if selected")
    scale = "" if grid.exact else f", a cell is about {grid.queries / grid.rows:.3g} x {grid.keys / grid.columns:.3g}"
    return f"{'   '.join(signs)}   ({grid.queries} queries down, {grid.keys} keys across{scale})"
