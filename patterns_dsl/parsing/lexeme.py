"""The words of a text, with the comments that no tree holds."""

from __future__ import annotations

from dataclasses import dataclass

COMMENT = "COMMENT"
"""The kind of a comment. Every other kind is a terminal of the grammar."""


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A token or a comment. ``breaks`` counts the line ends between it and what stands before it."""

    kind: str
    text: str
    start: int
    breaks: int
