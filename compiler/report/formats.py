"""What `patternc check` says to other programs: JSON, SARIF 2.1.0 and GitHub workflow commands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ...patterns_dsl.diagnostics.diagnostic import Diagnostic, Severity
from ...patterns_dsl.diagnostics.source import Span
from ..examine import FileReport
from ..verify.result import Result, Witness

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
    }


def _witness(witness: Witness | None) -> dict[str, int | None] | None:
    return None if witness is None else {"n": witness.n, "query": witness.query, "key": witness.key}


def _diagnostic(one: Diagnostic) -> dict[str, Any]:
    return {
        "code": one.code,
        "severity": str(one.severity),
        "message": one.message,
        "location": _location(one.span),
        "notes": list(one.notes),
        "help": list(one.help),
    }


def _location(span: Span) -> dict[str, Any]:
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": end_line,
        "end_column": end_column,
    }


def as_github(reports: Sequence[FileReport]) -> Iterator[str]:
    """Workflow commands, which GitHub shows beside the lines of a pull request."""
    for report in reports:
        for one in report.diagnostics():
            place = f"file={_property(one.span.source.name)},line={one.span.line},col={one.span.column}"
            details = "\n".join([one.message, *one.notes, *(f"help: {text}" for text in one.help)])
            yield f"::{one.severity} {place},title={_property(one.code)}::{_data(details)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_sarif(reports: Sequence[FileReport], version: str) -> str:
    """Static Analysis Results Interchange Format (OASIS SARIF 2.1.0): findings only, no passed claims."""
    found = [one for report in reports for one in report.diagnostics()]
    rules = sorted({one.code for one in found})
    run = {
        "tool": {"driver": {"name": "patternc", "version": version, "rules": [{"id": code} for code in rules]}},
        "results": [
            {
                "ruleId": one.code,
                "ruleIndex": rules.index(one.code),
                "level": "error" if one.severity is Severity.ERROR else str(one.severity),
                "message": {"text": "\n".join([one.message, *one.notes, *one.help])},
                "locations": [{"physicalLocation": _physical(one.span)}],
            }
            for one in found
        ],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2)


def _physical(span: Span) -> dict[str, Any]:
    place = _location(span)
    return {
        "artifactLocation": {"uri": place["file"]},
        "region": {
            "startLine": place["line"],
            "startColumn": place["column"],
            "endLine": place["end_line"],
            "endColumn": place["end_column"],
        },
    }
