"""Masks as pictures: the cells are right, the drawing shows them, the bytes never change."""

from __future__ import annotations

import struct
import zlib
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from patternc.compiler.report import grid as grids
from patternc.compiler.report import picture, terminal
from patternc.compiler.report.grid import Grid

LOCAL = lambda i, j: (i - j >= 0) & (i - j < 2)  # noqa: E731
STRIDED = lambda i, j: (i - j >= 0) & ((i - j) % 4 == 0)  # noqa: E731
EMPTY = lambda i, j: (i < 0) & (j < 0)  # noqa: E731


def grid(steps, queries: int, keys: int, limit: int) -> Grid:
    """Steps without open choices, as functions of coordinates that broadcast."""
    members = [lambda rows, columns, step=step: step(rows[:, None], columns[None, :]) for step in steps]
    return grids.grid([(member, member) for member in members], queries, keys, limit)


def test_what_is_open_is_drawn_apart() -> None:
    must, may = (lambda i, j: i[:, None] == j[None, :]), (lambda i, j: i[:, None] >= j[None, :])
    cells = grids.grid([(must, may)], 3, 3, 8)
    assert cells.open.tolist() == [[False, False, False], [True, False, False], [True, True, False]]
    assert terminal.draw(cells, ["step"], color=False).splitlines() == [
        "█··",
        "?█·",
        "??█",
        "█ step   ? if selected   (3 queries down, 3 keys across)",
    ]
    assert "if selected" in picture.svg(cells, ["step"], "open")
    assert picture.png(cells).startswith(b"\x89PNG")


def test_exact_grid_is_the_mask_with_the_first_owner() -> None:
    cells = grid([LOCAL, STRIDED], 8, 8, 8)
    assert cells.exact
    i, j = np.indices((8, 8))
    expected = np.where(LOCAL(i, j), 1, np.where(STRIDED(i, j), 2, 0))
    assert (cells.owner == expected).all()
    assert (cells.density == (expected > 0)).all()


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (3, 7), (9, 2)])
def test_any_shape(queries: int, keys: int) -> None:
    cells = grid([STRIDED], queries, keys, 64)
    assert (cells.rows, cells.columns) == (queries, keys)


def test_density_of_an_even_mask_is_met_by_the_samples() -> None:
    cells = grid([lambda i, j: (i + j) % 4 == 0], 1 << 20, 1 << 20, 16)
    assert not cells.exact
    assert abs(cells.density.mean() - 0.25) < 0.02


def test_blocks_longer_than_a_cell_are_full_and_empty() -> None:
    cells = grid([lambda i, j: i // 100_000 == j // 100_000], 400_000, 400_000, 8)
    inside = np.kron(np.eye(4), np.ones((2, 2)))
    assert (cells.density == inside).all()


def test_terminal_without_colour() -> None:
    text = terminal.draw(grid([LOCAL, STRIDED], 5, 5, 64), ["near", "far"], color=False)
    assert text.splitlines() == [
        "█····",
        "██···",
        "·██··",
        "··██·",
        "▒··██",
        "█ near   ▒ far   (5 queries down, 5 keys across)",
    ]


def test_terminal_with_colour_holds_two_rows_per_line() -> None:
    text = terminal.draw(grid([LOCAL, STRIDED], 5, 5, 64), ["near", "far"], color=True)
    lines = text.splitlines()
    assert len(lines) == 4
    assert "\x1b[38;5;25m█\x1b[0m" in lines[0]


def test_more_steps_than_colours() -> None:
    cells = grid([EMPTY] * 6 + [LOCAL], 4, 4, 4)
    assert "█" in terminal.draw(cells, [str(k) for k in range(7)], color=False)
    assert picture.svg(cells, [str(k) for k in range(7)], "many")


def cells_of_svg(text: str, columns: int) -> dict[tuple[int, int], str]:
    """Every cell that a path covers, with its colour: the drawing read back, by another route than it was made."""
    found: dict[tuple[int, int], str] = {}
    for path in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}path"):
        for part in path.attrib["d"].removesuffix("z").split("z"):
            start, rest = part.removeprefix("M").split("h", 1)
            x, y = map(int, start.split())
            width, rest = rest.split("v")
            height = rest.split("h")[0]
            for row in range(y, y + int(height)):
                for column in range(x, x + int(width)):
                    assert (row, column) not in found
                    assert column < columns
                    found[row, column] = path.attrib["fill"]
    return found


def test_svg_covers_exactly_the_cells() -> None:
    cells = grid([LOCAL, STRIDED], 13, 13, 64)
    text = picture.svg(cells, ["near", "<far>"], "a & b")
    drawn = cells_of_svg(text, 13)
    assert set(drawn) == {tuple(place) for place in np.argwhere(cells.owner).tolist()}
    assert len(set(drawn.values())) == 2
    assert "a &amp; b" in text
    assert "&lt;far&gt;" in text
    assert text == picture.svg(grid([LOCAL, STRIDED], 13, 13, 64), ["near", "<far>"], "a & b")


def test_png_holds_the_pixels() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    data = picture.encode_png(pixels)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == (3, 2)
    at = data.index(b"IDAT")
    size = struct.unpack(">I", data[at - 4 : at])[0]
    rows = np.frombuffer(zlib.decompress(data[at + 4 : at + 4 + size]), dtype=np.uint8).reshape(2, 10)
    assert (rows[:, 1:].reshape(2, 3, 3) == pixels).all()
    assert picture.png(grid([LOCAL], 4, 4, 4)).startswith(b"\x89PNG")


def test_empty_mask() -> None:
    cells: Grid = grid([EMPTY], 4, 4, 4)
    assert cells_of_svg(picture.svg(cells, ["nothing"], "empty"), 4) == {}
