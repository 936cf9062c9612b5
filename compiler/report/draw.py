"""draw: a bound pattern as a picture, in the terminal or in a file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..relations.membership import membership
from ..relations.settle import Extent, opens
from ..selection import UsageError, title
from . import terminal
from .grid import Grid, grid
from .page import page
from .picture import png, svg

if TYPE_CHECKING:
    from ..pattern import Pattern

_FINEST = 256  # cells per side of a picture: more would be below a pixel's worth of meaning on a page


class UnknownPicture(UsageError):
    """The file name ends in nothing that can be drawn."""


def draw(pattern: Pattern, n: int, color: bool) -> str:
    """The mask as text, as wide as the terminal at most."""
    cells = min(shutil.get_terminal_size().columns, 128)
    return terminal.draw(_cells(pattern, n, cells), _steps(pattern), color)


def save(pattern: Pattern, n: int, path: Path) -> None:
    """Write the picture that the file's ending names: .svg, .png or .html. The same pattern gives the same bytes."""
    suffix = path.suffix.lower()
    if suffix not in (".svg", ".png", ".html"):
        raise UnknownPicture(f"{path}: pictures are .svg, .png or .html")
    cells = _cells(pattern, n, _FINEST)
    if suffix == ".png":
        path.write_bytes(png(cells))
        return
    drawing = svg(cells, _steps(pattern), f"{title(pattern.bound)}, n = {n}")
    path.write_text(drawing if suffix == ".svg" else _page(pattern, drawing), encoding="utf-8")


def _cells(pattern: Pattern, n: int, limit: int) -> Grid:
    bound = pattern.bound
    members = []
    for step in bound.steps:
        may = membership(step.body, bound.direction, n, n, Extent.MAY)
        must = membership(step.body, bound.direction, n, n, Extent.MUST) if opens(step.body) else may
        members.append((must, may))
    return grid(members, n, n, limit)


def _steps(pattern: Pattern) -> list[str]:
    return [f"{step.name or 'step'} = {_one_line(step.body.span.text)}" for step in pattern.bound.steps]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _page(pattern: Pattern, drawing: str) -> str:
    from ..verify.check import check

    bound = pattern.bound
    return page(title(bound), bound.documentation or "", drawing, check(pattern), bound.span.text)
