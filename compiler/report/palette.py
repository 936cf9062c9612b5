"""The colours: one per step, the same in the terminal and in pictures."""

from __future__ import annotations

from dataclasses import dataclass

# Okabe and Ito's colours, which stay apart for the colour-blind, with their nearest entries of the xterm-256 table.
STEPS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
STEPS_XTERM = (25, 166, 36, 175, 178, 74)
GLYPHS = "█▒░#+x"  # steps where there is no colour
OPEN = "?"  # a pair that could attend, where there is no colour
OPEN_COLOR = "#bbbbbb"
OPEN_XTERM = 250
PAPER = "#ffffff"
INK = "#222222"

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


@dataclass(frozen=True, slots=True)
class Paint:
    """Text styles for a terminal; without colour it changes nothing."""

    color: bool

    def __call__(self, text: str, *styles: str) -> str:
        if not self.color or not styles:
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"


def channels(color: str) -> tuple[int, int, int]:
    """``#0072b2`` -> (0, 114, 178)."""
    value = int(color[1:], 16)
    return value >> 16, value >> 8 & 255, value & 255


def blend(color: str, share: float) -> str:
    """The colour over paper, as opaque as ``share`` says."""
    mixed = (round(low + (high - low) * share) for low, high in zip(channels(PAPER), channels(color), strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)
