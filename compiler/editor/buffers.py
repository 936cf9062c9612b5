"""The texts that are open in an editor. For whoever imports them they win over what is on the disk."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from ...patterns_dsl.diagnostics.source import Source
from ...patterns_dsl.parsing.read import LARGEST, decode
from ...patterns_dsl.parsing.read import read as read_file
from .diagnostics import Finding
from .outline import Outline, outline
from .positions import plain
from .reading import Reading, read


@dataclass(slots=True, eq=False)
class Document:
    """``uri`` is what the editor calls it, ``path`` the file, if it is one. ``found`` was shown last; ``seconds`` is
    the time that its last reading took."""

    uri: str
    path: Path | None
    source: Source
    version: int | None
    reading: Reading | None = None
    found: tuple[Finding, ...] = ()
    seconds: float = 0.0

    @property
    def outline(self) -> Outline:
        return outline(self.source)

    @property
    def settled(self) -> bool:
        """Whether its reading, and what was found, are of the text as it is now."""
        return self.reading is not None and self.reading.source == self.source

    def imports(self, file: str) -> bool:
        return self.reading is not None and any(_real(path) == file for path in self.reading.files)


@dataclass(slots=True)
class Buffers:
    documents: dict[str, Document] = field(default_factory=dict)

    def put(self, uri: str, path: Path | None, text: str, version: int | None) -> Document:
        """A text as it is now."""
        source = Source(str(path or uri), plain(text), None if path is None else path.parent)
        known = self.documents.get(uri)
        if known is None:
            self.documents[uri] = Document(uri, path, source, version)
        else:
            known.source, known.version = source, version
        return self.documents[uri]

    def read(self, file: Path) -> Source:
        """The text of a file, as an editor has it or as it is on the disk. Raises OSError, and PatternError for what is
        no text."""
        real = _real(file)
        for document in self.documents.values():
            if document.path is not None and _real(document.path) == real:
                return sized(Source(str(file), document.source.text, file.parent))
        if file.exists() and not file.is_file():
            raise OSError(0, "not a file")  # a pipe would be waited for
        return read_file(file)

    def analyse(self, document: Document) -> Reading:
        """The reading of a document, which is kept with the time that it took. Raises PatternError where it is too
        large."""
        begun = time.monotonic()
        document.reading = read(sized(document.source), self.read)
        document.seconds = time.monotonic() - begun
        return document.reading

    def importers(self, files: set[Path]) -> list[Document]:
        """The documents that import one of the files."""
        real = {_real(file) for file in files}
        return [each for each in self.documents.values() if any(each.imports(file) for file in real)]


def sized(source: Source) -> Source:
    """The source. Raises PatternError where it is larger than a file may be."""
    if len(source.text) > LARGEST // 4:  # each character has at most four bytes
        content = source.text.encode("utf-8", errors="replace")
        if len(content) > LARGEST:
            decode(content, source.name, source.folder)
    return source


def _real(path: Path) -> str:
    return os.path.realpath(path)
