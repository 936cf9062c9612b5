"""Static Analysis Results Interchange Format (OASIS SARIF 2.1.0): the findings of `patternc check`, not what passed.

Each code is a rule, described by its page; labels are related locations; fixes are replacements of text.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from ...patterns_dsl.diagnostics.codes import TITLES
from ...patterns_dsl.diagnostics.diagnostic import Diagnostic, Fix, Label, Severity
from ...patterns_dsl.diagnostics.source import Span
from ..examine import FileReport
from ..pattern import LIBRARY
from .pages import page

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def as_sarif(reports: Sequence[FileReport], version: str) -> str:
    """One run with the findings of all files. GitHub's code scanning takes it as it is."""
    found = [(report, one) for report in reports for one in (*report.diagnostics(), *report.warnings())]
    codes = sorted({one.code for _, one in found})
    passed = all(report.passed for report in reports)
    seen: Counter[str] = Counter()
    run = {
        "tool": {"driver": {"name": "patternc", "version": version, "rules": [_rule(code) for code in codes]}},
        "invocations": [{"executionSuccessful": True, "exitCode": 0 if passed else 1}],
        "columnKind": "unicodeCodePoints",
        "results": [_result(report, one, codes.index(one.code), seen) for report, one in found],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(code: str) -> dict[str, Any]:
    text = page(code)
    _, meaning, *_ = text.split("\n\n")
    return {
        "id": code,
        "shortDescription": {"text": TITLES[code]},
        "fullDescription": {"text": " ".join(meaning.split())},
        "help": {"text": text, "markdown": text},
        "properties": {"precision": "very-high", "tags": ["attention", "patternc"]},
    }


def _result(report: FileReport, one: Diagnostic, rule: int, seen: Counter[str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": one.code,
        "ruleIndex": rule,
        "level": _LEVELS[one.severity],
        "message": {"text": "\n".join([one.message, *one.notes, *(f"help: {text}" for text in one.help)])},
        "locations": [{"physicalLocation": _place(report, one.span)}],
        "partialFingerprints": {"primaryLocationLineHash": _fingerprint(one, seen)},
    }
    if one.labels:
        result["relatedLocations"] = [_related(report, number, label) for number, label in enumerate(one.labels)]
    if one.fix is not None and _has_uri(one.fix.span):
        result["fixes"] = [_fix(one.fix)]
    return result


def _related(report: FileReport, number: int, label: Label) -> dict[str, Any]:
    return {"id": number, "message": {"text": label.text}, "physicalLocation": _place(report, label.span)}


def _fix(fix: Fix) -> dict[str, Any]:
    replacement = {"deletedRegion": _region(fix.span), "insertedContent": {"text": fix.replacement}}
    change = {"artifactLocation": _artifact(fix.span.source.name), "replacements": [replacement]}
    return {"description": {"text": fix.title}, "artifactChanges": [change]}


def _place(report: FileReport, span: Span) -> dict[str, Any]:
    """The place of a span; of an argument given with ``-p``, which is in no file, the file that it was given to."""
    if _has_uri(span):
        return {"artifactLocation": _artifact(span.source.name), "region": _region(span)}
    return {"artifactLocation": _artifact(report.file), "region": {"startLine": 1}}


def _has_uri(span: Span) -> bool:
    return span.source.folder is not None or span.source.name.startswith(LIBRARY)


def _artifact(name: str) -> dict[str, str]:
    """A path as a URI: an absolute one of the scheme ``file``, a relative one from where the check ran. The name of a
    stock file, ``library:longformer``, is a URI as it is."""
    if name.startswith(LIBRARY):
        return {"uri": name}
    if PurePath(name).is_absolute():
        return {"uri": Path(name).as_uri()}
    return {"uri": quote(PurePath(name).as_posix()), "uriBaseId": "%SRCROOT%"}


def _region(span: Span) -> dict[str, int]:
    end_line, end_column = span.source.position(span.end)
    return {"startLine": span.line, "startColumn": span.column, "endLine": end_line, "endColumn": end_column}


def _fingerprint(one: Diagnostic, seen: Counter[str]) -> str:
    """What stays the same when lines are added above: the code and the words of its line; a number tells equal ones
    apart."""
    line = "" if not one.span.source.text else one.span.source.line(one.span.line)
    words = " ".join([one.code, one.span.source.name, *line.split()])
    digest = hashlib.sha256(words.encode(errors="replace")).hexdigest()[:16]
    seen[digest] += 1
    return f"{digest}:{seen[digest]}"
