"""Columns are UTF-16 code units, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patternc.compiler.editor.positions import Position, offset, plain, position, whole
from patternc.patterns_dsl.diagnostics.source import Source

TEXT = "# 😀 a\n\tstep 𝔸é\n\n# end"


@pytest.mark.parametrize(
    ("sought", "line", "column"),
    [("😀", 0, 2), (" a", 0, 4), ("a\n", 0, 5), ("step", 1, 1), ("𝔸", 1, 6), ("é", 1, 8), ("\n#", 2, 0), ("end", 3, 2)],
)
def test_columns(sought: str, line: int, column: int) -> None:
    source = Source("x", TEXT)
    assert position(source, TEXT.index(sought)) == Position(line, column)
    assert offset(source, Position(line, column)) == TEXT.index(sought)


def test_places_that_are_none_are_brought_into_the_text() -> None:
    source = Source("x", TEXT)
    assert offset(source, Position(0, 3)) == TEXT.index("😀")  # between its two units
    assert offset(source, Position(0, 99)) == TEXT.index("\n")
    assert offset(source, Position(9, 0)) == len(TEXT) == offset(source, Position(3, 99))
    assert position(source, 99) == position(source, len(TEXT)) == whole(source).end == Position(3, 5)


@given(st.text(st.characters(codec=None) | st.sampled_from("\n\r\t😀𝔸\u2028\x0c")), st.data())
def test_round_trip(text: str, data: st.DataObject) -> None:
    source = Source("x", plain(text))
    place = data.draw(st.integers(0, len(source.text)))
    found = position(source, place)
    assert offset(source, found) == place
    row = source.text.split("\n")[found.line]
    assert found.column <= len(row.encode("utf-16-le", errors="surrogatepass")) // 2


def test_line_ends_and_a_mark_move_nothing() -> None:
    assert plain("\ufeffa\r\nb\rc") == " a\nb\nc"
