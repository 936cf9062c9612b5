"""mend: apply the fixes of a file's diagnostics, and check again, until none is left that can be applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..patterns_dsl.diagnostics.diagnostic import Fix, PatternError
from ..patterns_dsl.diagnostics.source import Source
from .examine import FileReport, examine_module
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


def mend(source: Source, reference: Reference, given: Mapping[str, str]) -> Mended:
    """The fixes of every diagnostic, applied. What the file imports is not edited. Raises UsageError."""
    text, applied = source.text, list[Fix]()
    for _ in range(MOST_ROUNDS):
        current = Source(source.name, text, source.folder)
        report = _report(current, reference, given)
        found = [one.fix for one in (*report.diagnostics(), *report.warnings()) if one.fix is not None]
        usable = _apart([fix for fix in found if fix.span.source.name == source.name])
        if not usable:
            break
        for fix in reversed(usable):
            text = text[: fix.span.start] + fix.replacement + text[fix.span.end :]
        applied += usable
    return Mended(text, tuple(applied), report)


def _report(source: Source, reference: Reference, given: Mapping[str, str]) -> FileReport:
    try:
        return examine_module(Module(source), reference, given)
    except PatternError as error:
        return FileReport(reference.file, errors=error.diagnostics)


def _apart(fixes: Sequence[Fix]) -> list[Fix]:
    """The fixes in the order of their places, without those that overlap or touch an earlier one."""
    kept: list[Fix] = []
    for fix in sorted(fixes, key=lambda fix: (fix.span.start, fix.span.end)):
        if not kept or fix.span.start > kept[-1].span.end:
            kept.append(fix)
    return kept


def rewrite(path: Path, text: str) -> None:
    """Write a file anew, in its own line ends and with its byte order mark, and never by halves."""
    before = path.read_bytes()
    ending = "\r\n" if b"\r\n" in before else "\n"
    mark = b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b""
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_bytes(mark + text.replace("\n", ending).encode())
        beside.chmod(path.stat().st_mode)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
