"""align: the signs of neighbouring lines stand under one another, and so do their comments.

Lines stay as they are where one of them that fits would become too long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, groupby

from .layout import Line
from .wrap import WIDTH

GAP = 2
"""Spaces before a comment."""


def align(lines: Iterable[Line]) -> Iterator[str]:
    """The text of each line. A line without text parts its neighbours like any other."""
    signs = (_signs(list(group)) if family else group for family, group in groupby(lines, lambda line: line.family))
    for commented, neighbours in groupby(chain.from_iterable(signs), lambda line: bool(line.comment)):
        yield from (_comments if commented else _texts)(list(neighbours))


def _texts(lines: Sequence[Line]) -> Iterator[str]:
    return map(_text, lines)


def _text(line: Line) -> str:
    code = " " * line.indent + line.code if line.code else ""
    return f"{code}{' ' * GAP}{line.comment}" if line.comment else code


def _signs(lines: Sequence[Line]) -> Sequence[Line]:
    end = max(line.operator for line in lines)
    padded = [_padded(line, line.operator, end - line.operator) for line in lines]
    return lines if _overflows(lines, padded) else padded


def _comments(lines: Sequence[Line]) -> Iterator[str]:
    end = max(line.indent + len(line.code) for line in lines)
    padded = [_padded(line, len(line.code), end - line.indent - len(line.code)) for line in lines]
    return _texts(lines if _overflows(lines, padded) else padded)


def _padded(line: Line, place: int, spaces: int) -> Line:
    return replace(line, code=line.code[:place] + " " * spaces + line.code[place:])


def _overflows(before: Sequence[Line], after: Sequence[Line]) -> bool:
    return any(len(_text(first)) <= WIDTH < len(_text(second)) for first, second in zip(before, after, strict=True))
