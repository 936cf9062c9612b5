"""Files to sources: what is not a text of reasonable size is a diagnostic, never an exception from a codec."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

from ..diagnostics import codes
from ..diagnostics.diagnostic import Diagnostic, PatternError
from ..diagnostics.source import Source, Span

LARGEST = 256 * 1024
"""Bytes of a file. The largest stock pattern has two thousand; a hundred times that is not written by hand."""


def read(path: Path, name: str | None = None) -> Source:
    """The text of a file, called ``name`` (its path, if None).

    Raises PatternError where it is not UTF-8 or too large, OSError where it cannot be read at all.
    """
    with path.open("rb") as file:
        try:
            content = file.read(LARGEST + 1)
        except OSError as error:  # of a file that is open it names none
            raise OSError(error.errno, error.strerror, str(path)) from None
        size = max(len(content), os.fstat(file.fileno()).st_size)
    return decode(content, name or str(path), path.parent, size)


def decode(content: bytes, name: str, folder: Path | None = None, size: int | None = None) -> Source:
    """The bytes of a file as a source; line ends become ``\\n`` and a byte order mark goes. Raises PatternError."""
    size = len(content) if size is None else size
    if size > LARGEST:
        message = f"the file has {size:,} bytes, and at most {LARGEST:,} are read"
        help = "share rules between smaller files with `from ... import`"
        raise _refused(codes.FILE_SIZE, message, Source(name, "", folder), 0, help)
    if _wide(content):
        message = "this is UTF-16 or UTF-32 text, or no text at all"
        raise _refused(codes.ENCODING, message, Source(name, "", folder), 0, "save the file as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        source = Source(name, _plain_lines(content.decode("utf-8-sig", errors="replace")), folder)
        place = len(_plain_lines(content[: error.start].decode("utf-8-sig", errors="replace")))
        found = f"byte 0x{content[error.start]:02x} is not UTF-8"
        raise _refused(codes.ENCODING, found, source, place, "save the file as UTF-8") from None
    return Source(name, _plain_lines(text), folder)


def _wide(content: bytes) -> bool:
    """Whether characters take two or four bytes: by the mark, or since every other byte of a Latin letter is 0."""
    return content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 4 * content.count(0) > len(content) > 3


def _plain_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _refused(code: str, message: str, source: Source, place: int, help: str) -> PatternError:
    start = min(place, max(0, len(source.text) - 1))
    return PatternError(
        [Diagnostic(code, message, Span(source, start, min(start + 1, len(source.text))), help=(help,))]
    )
