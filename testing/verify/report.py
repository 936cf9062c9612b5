"""What `patternc verify` says: a table, each failure with the file and the arguments that show it, and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ...compiler.report.palette import Paint
from .run import FileReport, SubjectReport
from .search import Failure, Outcome

JSON_VERSION = 1


def text(report: FileReport, paint: Paint, *, seed: int, quiet: bool) -> str:
    """The table of a file, or its errors; ``quiet`` keeps what failed."""
    blocks = [error.render() for error in report.errors]
    for subject in report.subjects:
        blocks += subject_text(subject, paint, seed=seed, quiet=quiet, file=report.file)
    return "\n".join(blocks)


def subject_text(subject: SubjectReport, paint: Paint, *, seed: int, quiet: bool, file: str = "") -> Iterator[str]:
    """The table of a pattern or plan, and its failures."""
    rows = [_row(outcome, paint) for outcome in subject.outcomes if not quiet or outcome.failure is not None]
    if rows:
        yield "\n".join([paint(f"{file}: {subject.title}" if file else subject.title, "bold"), *rows])
    for outcome in subject.outcomes:
        if outcome.failure is not None:
            yield "\n".join(_failure(outcome, outcome.failure, paint, seed))


def _row(outcome: Outcome, paint: Paint) -> str:
    if outcome.left_out:
        return f"  {paint('LEFT OUT', 'yellow', 'bold')}  {outcome.name:16}  {outcome.left_out}"
    word = paint("FAILED  ", "red", "bold") if outcome.failure else paint("HOLDS   ", "green", "bold")
    hurried = ", then the time was up" if outcome.hurried else ""
    undecided = f", {outcome.undecided} of them beyond the budget" if outcome.undecided else ""
    examples = "1 example" if outcome.examples == 1 else f"{outcome.examples} examples"
    return f"  {word}  {outcome.name:16}  {examples}{hurried}{undecided}"


def _failure(outcome: Outcome, failure: Failure, paint: Paint, seed: int) -> Iterator[str]:
    yield f"{paint('failed', 'red', 'bold')}: {outcome.name}: {failure.subject}"
    yield f"  {failure.message}"
    settings = ", ".join(f"{name} = {value}" for name, value in failure.example.described().items())
    yield f"  at {settings}  (seed {seed})"
    yield "  in"
    yield ""
    yield from (f"    {line}" for line in failure.text.splitlines())
    yield ""


def summary(reports: Sequence[FileReport]) -> str:
    """One line that counts, such as ``12 hold, 1 failed, 2 left out``."""
    outcomes = [outcome for report in reports for subject in report.subjects for outcome in subject.outcomes]
    failed, left_out = sum(o.failure is not None for o in outcomes), sum(bool(o.left_out) for o in outcomes)
    broken = sum(len(report.errors) for report in reports)
    counts = {"hold": len(outcomes) - failed - left_out, "failed": failed, "left out": left_out}
    counts["error" if broken == 1 else "errors"] = broken
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no patterns"


def as_json(reports: Sequence[FileReport], *, seed: int, examples: int) -> str:
    """Everything. The schema's ``version`` rises when a field changes its meaning."""
    files = [
        {
            "file": report.file,
            "passed": report.passed,
            "errors": [{"code": one.code, "message": one.message, "line": one.span.line} for one in report.errors],
            "subjects": [_subject(subject) for subject in report.subjects],
        }
        for report in reports
    ]
    whole = {"version": JSON_VERSION, "passed": all(report.passed for report in reports)}
    return json.dumps({**whole, "seed": seed, "examples": examples, "files": files}, indent=2)


def _subject(subject: SubjectReport) -> dict[str, Any]:
    return {"name": subject.title, "properties": [_outcome(outcome) for outcome in subject.outcomes]}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    status = "left out" if outcome.left_out else "failed" if outcome.failure else "holds"
    failure = outcome.failure
    return {
        "property": outcome.name,
        "status": status,
        "examples": outcome.examples,
        "undecided": outcome.undecided,
        "hurried": outcome.hurried,
        "reason": outcome.left_out,
        "failure": None
        if failure is None
        else {
            "message": failure.message,
            "pattern": failure.subject,
            "arguments": {name: _plain(value) for name, value in failure.example.described().items()},
            "text": failure.text,
        },
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str | bool | list | dict | tuple | None) else str(value)
