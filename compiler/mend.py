"""mend: apply the fixes of a file's diagnostics, and check again, until none is left that can be applied.

A fix is kept only if its diagnostic is gone afterwards.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from tempfile import mkstemp

from ..patterns_dsl.diagnostics.diagnostic import Diagnostic, Fix, PatternError
from ..patterns_dsl.diagnostics.source import Source
from .examine import FileReport, examine_module
from .output import naming
from .pattern import Module
from .selection import Reference

MOST_ROUNDS = 20
"""A fix can bring another mistake to light: a syntax error hides all that comes after parsing."""


@dataclass(frozen=True, slots=True)
class Mended:
    """The text as it should be, the fixes that led to it, and the report on it."""

    text: str
    fixes: tuple[Fix, ...]
    report: FileReport


@dataclass(frozen=True, slots=True)
class _Offer:
    """A diagnostic with its fix, which is in the file itself."""

    code: str
    start: int
    fix: Fix

    @property
    def same(self) -> tuple[str, str, str]:
        """What tells it from others wherever it stands: edits before it move it."""
        return self.code, self.fix.span.text, self.fix.replacement


def mend(source: Source, reference: Reference, given: Mapping[str, str]) -> Mended:
    """The fixes of every diagnostic, applied. What the file imports is not edited. Raises UsageError."""
    text, applied, idle = source.text, list[Fix](), set[tuple[str, str, str]]()
    report = _report(source, reference, given)
    for _ in range(MOST_ROUNDS):
        usable = _apart([offer for offer in _offers(report, source.name) if offer.same not in idle])
        if not usable:
            break
        edited = _edited(text, usable)
        after = _report(Source(source.name, edited, source.folder), reference, given)
        left = {(one.code, one.span.start) for one in _all(after) if one.span.source.name == source.name}
        useless = [offer for offer in usable if (offer.code, _moved(offer.start, usable)) in left]
        if useless:
            idle.update(offer.same for offer in useless)
            continue
        text, report = edited, after
        applied += [offer.fix for offer in usable]
    return Mended(text, tuple(applied), report)


def _report(source: Source, reference: Reference, given: Mapping[str, str]) -> FileReport:
    try:
        return examine_module(Module(source), reference, given)
    except PatternError as error:
        return FileReport(reference.file, errors=error.diagnostics)


def _all(report: FileReport) -> Iterator[Diagnostic]:
    yield from report.diagnostics()
    yield from report.warnings()


def _offers(report: FileReport, file: str) -> Iterator[_Offer]:
    for one in _all(report):
        if one.fix is not None and one.fix.span.source.name == file == one.span.source.name:
            yield _Offer(one.code, one.span.start, one.fix)


def _apart(offers: Sequence[_Offer]) -> list[_Offer]:
    """In the order of their places, without those that overlap or touch an earlier one."""
    kept: list[_Offer] = []
    for offer in sorted(offers, key=lambda offer: (offer.fix.span.start, offer.fix.span.end)):
        if not kept or offer.fix.span.start > kept[-1].fix.span.end:
            kept.append(offer)
    return kept


def _edited(text: str, offers: Sequence[_Offer]) -> str:
    for offer in reversed(offers):
        text = text[: offer.fix.span.start] + offer.fix.replacement + text[offer.fix.span.end :]
    return text


def _moved(place: int, offers: Sequence[_Offer]) -> int:
    """Where a place is after the edits; one inside an edit is at its start."""
    moved = place
    for offer in offers:
        start, end = offer.fix.span.start, offer.fix.span.end
        if end <= place and start < place:
            moved += len(offer.fix.replacement) - (end - start)
        elif start < place:
            moved -= place - start
    return moved


# --- files ---

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def rewrite(path: Path, text: str) -> None:
    """Write a file anew, never by halves: every line that stays keeps its line end, and the file its byte order mark
    and, where the path is a link, its place. Raises OSError, which names it, and leaves the file as it was."""
    path = path.resolve()
    before = path.read_bytes()
    mark = b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b""
    with naming(path):
        number, name = mkstemp(prefix=".", suffix=".new", dir=path.parent)  # a name that no file has
        os.close(number)
        beside = Path(name)
        try:
            beside.write_bytes(mark + _with_line_ends(before.decode("utf-8-sig"), text).encode())
            beside.chmod(path.stat().st_mode)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _with_line_ends(before: str, text: str) -> str:
    """The text with the line ends that its lines had; a new line gets that of the first."""
    written, lines = _LINE.findall(before), _LINE.findall(text)
    old = [line.rstrip("\r\n") + ("\n" if line[-1] in "\r\n" else "") for line in written]
    ends = [line[len(line.rstrip("\r\n")) :] for line in written]
    usual = next(filter(None, ends), "\n")
    found: list[str] = []
    for _, first, last, start, end in SequenceMatcher(None, old, lines, autojunk=False).get_opcodes():
        kept = [ends[number] or usual for number in range(first, last)]
        for number, line in enumerate(lines[start:end]):
            own = kept[number] if number < len(kept) else usual
            found.append(line.removesuffix("\n") + (own if line.endswith("\n") else ""))
    return "".join(found)
