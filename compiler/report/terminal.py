"""A mask drawn in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from .grid import Grid
from .palette import GLYPHS, STEPS_XTERM


def draw(grid: Grid, steps: Sequence[str], color: bool) -> str:
    """The grid as lines of text with a legend below, queries downwards and keys to the right.

    With colour a character holds two rows (the upper half block), so that cells are about square. Without, each
    character is one cell and its glyph tells the step.
    """
    lines = _half_blocks(grid) if color else _glyphs(grid)
    return "\n".join([*lines, _legend(grid, steps, color)])


def _glyphs(grid: Grid) -> list[str]:
    signs = "·" + GLYPHS
    return ["".join(signs[_clip(owner)] for owner in row) for row in grid.owner.tolist()]


def _half_blocks(grid: Grid) -> list[str]:
    rows: list[list[int]] = grid.owner.tolist()
    rows += [[0] * grid.columns] * (len(rows) % 2)
    return [
        "".join(_half_block(_clip(top), _clip(bottom)) for top, bottom in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def _half_block(top: int, bottom: int) -> str:
    if not top and not bottom:
        return " "
    if top == bottom:
        return f"\x1b[38;5;{STEPS_XTERM[top - 1]}m█\x1b[0m"
    if not bottom:
        return f"\x1b[38;5;{STEPS_XTERM[top - 1]}m▀\x1b[0m"
    if not top:
        return f"\x1b[38;5;{STEPS_XTERM[bottom - 1]}m▄\x1b[0m"
    return f"\x1b[38;5;{STEPS_XTERM[top - 1]};48;5;{STEPS_XTERM[bottom - 1]}m▀\x1b[0m"


def _clip(owner: int) -> int:
    """A pattern may have more steps than there are colours: the colours then come round again."""
    return 0 if owner == 0 else 1 + (owner - 1) % len(STEPS_XTERM)


def _legend(grid: Grid, steps: Sequence[str], color: bool) -> str:
    signs = []
    for number, step in enumerate(steps, start=1):
        glyph = f"\x1b[38;5;{STEPS_XTERM[_clip(number) - 1]}m█\x1b[0m" if color else GLYPHS[_clip(number) - 1]
        signs.append(f"{glyph} {step}")
    scale = "" if grid.exact else f", a cell is about {grid.queries / grid.rows:.3g} x {grid.keys / grid.columns:.3g}"
    return f"{'   '.join(signs)}   ({grid.queries} queries down, {grid.keys} keys across{scale})"
