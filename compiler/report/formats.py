"""What `patternc check` says to other programs: JSON, and GitHub workflow commands. SARIF has a file of its own.

docs/check-output.md describes all three. Lines and columns count from 1, columns in characters; an end is exclusive.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ...patterns_dsl.diagnostics.diagnostic import Diagnostic, Fix, Label, Severity
from ...patterns_dsl.diagnostics.source import Source, Span
from ..examine import FileReport
from ..pattern import LIBRARY
from ..verify.result import Result, Witness
from .sarif import as_sarif

JSON_VERSION = 1


def render(name: str, reports: Sequence[FileReport], version: str) -> str:
    """The reports in the format of that name: json, sarif or github."""
    match name:
        case "json":
            return as_json(reports)
        case "sarif":
            return as_sarif(reports, version)
        case "github":
            return "\n".join(as_github(reports))
        case _:
            raise ValueError(f"unknown format {name!r}")


def as_json(reports: Sequence[FileReport]) -> str:
    """All verdicts. The schema's ``version`` rises when a field changes its meaning."""
    files = [
        {
            "file": report.file,
            "passed": report.passed,
            "errors": [_diagnostic(error) for error in report.errors],
            "patterns": [
                {"pattern": finding.title, "claims": [_claim(result) for result in finding.results]}
                for finding in report.findings
            ],
            "diagnostics": [_diagnostic(one) for one in (*report.diagnostics(), *report.warnings())],
        }
        for report in reports
    ]
    return json.dumps({"version": JSON_VERSION, "passed": all(r.passed for r in reports), "files": files}, indent=2)


def _claim(result: Result) -> dict[str, Any]:
    return {
        "claim": result.text,
        "status": str(result.status),
        "location": _location(result.claim.span),
        "witness": _witness(result.witness),
        "explanation": result.explanation,
        "help": result.help,
        "warning": result.warning,
    }


def _witness(witness: Witness | None) -> dict[str, int | None] | None:
    if witness is None:
        return None
    return {"n": witness.n, "nk": witness.keys, "query": witness.query, "key": witness.key}


def _diagnostic(one: Diagnostic) -> dict[str, Any]:
    return {
        "code": one.code,
        "severity": str(one.severity),
        "message": one.message,
        "location": _location(one.span),
        "notes": list(one.notes),
        "help": list(one.help),
        "labels": [_label(label) for label in one.labels],
        "fix": None if one.fix is None else _fix(one.fix),
    }


def _label(label: Label) -> dict[str, Any]:
    return {"location": _location(label.span), "text": label.text}


def _fix(fix: Fix) -> dict[str, Any]:
    return {"title": fix.title, "location": _location(fix.span), "replacement": fix.replacement}


def _location(span: Span) -> dict[str, Any]:
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": end_line,
        "end_column": end_column,
    }


# --- GitHub ---

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def as_github(reports: Sequence[FileReport]) -> Iterator[str]:
    """Workflow commands, which GitHub shows beside the lines of a pull request."""
    for report in reports:
        for one in (*report.diagnostics(), *report.warnings()):
            details = "\n".join([one.message, *one.notes, *(f"help: {text}" for text in one.help)])
            place = ",".join([*_place(one.span, report), f"title={_property(one.code)}"])
            yield f"::{_COMMANDS[one.severity]} {place}::{_data(details)}"


def _place(span: Span, report: FileReport) -> Iterator[str]:
    """Columns only within one line: GitHub drops a command's place that has both."""
    if not is_file(span.source):
        if not report.file.startswith(LIBRARY):
            yield f"file={_property(report.file)}"
        return
    end_line, end_column = span.source.position(span.end)
    yield f"file={_property(span.source.name)}"
    yield f"line={span.line}"
    if end_line == span.line:
        yield f"col={span.column}"
    yield f"endLine={end_line}"
    if end_line == span.line:
        yield f"endColumn={max(end_column, span.column + 1)}"


def is_file(source: Source) -> bool:
    """Whether a source lies in a folder: the text of an argument does not, nor does a stock file."""
    return source.folder is not None


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
