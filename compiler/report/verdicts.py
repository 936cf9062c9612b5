"""What `patternc check` says: the verdict on every claim of a file, as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...patterns_dsl.diagnostics.diagnostic import Diagnostic, Severity
from ..examine import FileReport, Finding, complaint, warning
from ..verify.result import Status
from .palette import Paint

_STYLES = {
    Status.PROVED: ("green", "bold"),
    Status.CHECKED: ("cyan", "bold"),
    Status.REFUTED: ("red", "bold"),
    Status.UNKNOWN: ("yellow", "bold"),
}


def text(report: FileReport, paint: Paint, quiet: bool) -> str:
    """The verdicts on one file; ``quiet`` keeps what failed."""
    shown = report.diagnostics() if quiet else report.errors
    blocks = ["\n\n".join(diagnostic(one, paint) for one in shown)]
    if not quiet:
        blocks += ["\n".join(_finding(report.file, finding, paint)) for finding in report.findings]
    return "\n".join(filter(None, blocks))


def summary(reports: Iterable[FileReport], paint: Paint) -> str:
    """One line that counts the verdicts, such as ``3 proved, 1 refuted``, and what `--fix` can do about it."""
    counts = dict.fromkeys(Status, 0)
    broken = warned = mendable = 0
    for report in reports:
        mendable += sum(one.fix is not None for one in (*report.diagnostics(), *report.warnings()))
        broken += len(report.errors)
        warned += len(tuple(report.warnings()))
        for finding in report.findings:
            for result in finding.results:
                counts[result.status] += 1
    parts = [paint(f"{count} {status}", *_STYLES[status]) for status, count in counts.items() if count]
    if broken:
        parts.append(paint(f"{broken} error{'s' if broken > 1 else ''}", "red", "bold"))
    if warned:
        parts.append(paint(f"{warned} warning{'s' if warned > 1 else ''}", "yellow", "bold"))
    fixes = f" ({mendable} with a fix: --fix applies {'them' if mendable > 1 else 'it'})" if mendable else ""
    return (", ".join(parts) or "no claims") + fixes


def _finding(file: str, finding: Finding, paint: Paint) -> Iterator[str]:
    yield paint(f"{file}: {finding.title}", "bold")
    if not finding.results:
        yield "  no claims; say what must hold with `prove ...`"
    for result in finding.results:
        yield f"  {paint(f'{result.status.upper():8}', *_STYLES[result.status])} {result.text}"
        failed = complaint(result) or warning(result)
        if failed is not None:
            yield "\n".join(f"  {line}" for line in diagnostic(failed, paint).splitlines())
        elif result.witness is not None:
            yield f"           witness: {result.witness}" + (f"; {result.explanation}" if result.explanation else "")


def diagnostic(one: Diagnostic, paint: Paint) -> str:
    """The rendered diagnostic with its first line and its marks in colour."""
    hue = "red" if one.severity is Severity.ERROR else "yellow"
    return one.render(lambda text, role: paint(text, "cyan" if role == "-" else hue, "bold"))
