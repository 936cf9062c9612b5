"""format: a text laid out in the one style of the language. Its words, their order and its comments stay.

outline   the statements, each with its comments
layout    the spaces between words, and the lines that a statement takes
separate  blank lines
align     signs and comments of neighbouring lines
"""

from __future__ import annotations

from ..diagnostics.source import Source
from .align import align
from .layout import Line, layout
from .outline import outline
from .separate import separate


def formatted(source: Source) -> str:
    """The text of a source, well laid out; lines end in ``\\n``. To format it again changes nothing.

    Raises PatternError with every syntax error: what cannot be parsed is not touched.
    """
    blocks = list(layout(outline(source)))
    lines = list[Line]()
    for block, blank in zip(blocks, separate(blocks), strict=True):
        lines += [Line(0, "")] * blank
        lines += block.lines
    return "".join(f"{line}\n" for line in align(lines))
