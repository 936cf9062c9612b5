"""Files to sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from patternc.patterns_dsl.diagnostics.diagnostic import Diagnostic, PatternError
from patternc.patterns_dsl.parsing.read import LARGEST, decode, read


def refused(content: bytes) -> Diagnostic:
    with pytest.raises(PatternError) as raised:
        decode(content, "x.pat")
    (found,) = raised.value.diagnostics
    return found


def test_line_ends_and_the_mark() -> None:
    assert decode(b"\xef\xbb\xbfa\r\nb\rc\n", "x.pat").text == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [(b"\xff", 1, 1), (b"# caf\xe9 au lait", 1, 6), (b"ok\r\n\r\n  \xc3(", 3, 3), ("pattern".encode("utf-16"), 1, 1)],
)
def test_what_is_not_utf8(content: bytes, line: int, column: int) -> None:
    found = refused(content)
    assert (found.code, found.span.line, found.span.column) == ("P107", line, column)
    assert 0 <= found.span.start <= found.span.end <= len(found.span.source.text)


def test_what_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "x.pat"
    path.write_bytes(b"#" * LARGEST)
    assert len(read(path).text) == LARGEST
    path.write_bytes(b"#" * (40 * LARGEST))
    with pytest.raises(PatternError) as raised:
        read(path)
    (found,) = raised.value.diagnostics
    assert (found.code, f"{40 * LARGEST:,} bytes" in found.message) == ("P108", True)


def test_the_folder_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.pat").write_text("")
    assert read(tmp_path / "x.pat").folder == tmp_path
    assert read(tmp_path / "x.pat", "shown").name == "shown"
