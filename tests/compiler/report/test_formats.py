"""Verdicts as text, JSON and workflow commands. SARIF has a test of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from patternc.compiler.examine import CODES, FileReport, Finding, complaint
from patternc.compiler.report import formats, verdicts
from patternc.compiler.report.palette import Paint
from patternc.compiler.verify.result import Result, Status, Witness
from patternc.patterns_dsl import syntax
from patternc.patterns_dsl.diagnostics import codes
from patternc.patterns_dsl.diagnostics.diagnostic import Diagnostic, Fix, Label, Severity
from patternc.patterns_dsl.diagnostics.source import Source, Span

SOURCE = Source("a,b.pat", "pattern p causal {\n    prove nonempty\n}\n", Path())
PLAIN = Paint(False)


def claim(kind: type[syntax.ClaimBase] = syntax.Nonempty) -> syntax.Claim:
    start = SOURCE.text.index("nonempty")
    span = Span(SOURCE, start, start + len("nonempty"))
    if kind is syntax.Nonempty:
        return syntax.Nonempty(span=span)
    return syntax.Reach(span=span, steps=None, negated=True)


NOTE = "queries 0..119 attend to no key"
REFUTED = Result(claim(), "nonempty", Status.REFUTED, Witness(120, 0), NOTE, "add `| self`")
PROVED = Result(claim(), "nonempty", Status.PROVED)
UNKNOWN = Result(claim(), "nonempty", Status.UNKNOWN, explanation="the proof ran out of its budget")
EXAMPLE = Result(claim(syntax.Reach), "not reach", Status.PROVED, Witness(3, 2, 1), "no later token hears of 1")


def report(*results: Result) -> FileReport:
    return FileReport("a,b.pat", (Finding("p", results),))


def test_refuted_claim_reads_like_a_compiler_error() -> None:
    assert verdicts.text(report(REFUTED), PLAIN, quiet=False).splitlines() == [
        "a,b.pat: p",
        "  REFUTED  nonempty",
        "  error[P302]: `nonempty` does not hold",
        "   --> a,b.pat:2:11",
        "    |",
        "  2 |     prove nonempty",
        "    |           ^^^^^^^^",
        "    = witness: n = 120, i = 0",
        "    = queries 0..119 attend to no key",
        "    = help: add `| self`",
    ]


def test_quiet_prints_failures_only() -> None:
    assert verdicts.text(report(PROVED), PLAIN, quiet=True) == ""
    assert verdicts.text(report(PROVED, REFUTED), PLAIN, quiet=True).startswith("error[P302]")


def test_proved_negation_shows_its_witness() -> None:
    text = verdicts.text(report(EXAMPLE), PLAIN, quiet=False)
    assert "witness: n = 3, i = 2, j = 1; no later token hears of 1" in text


def test_a_pattern_without_claims_says_so() -> None:
    assert "no claims" in verdicts.text(report(), PLAIN, quiet=False)


@pytest.mark.parametrize(("results", "passed"), [((PROVED, EXAMPLE), True), ((REFUTED,), False), ((UNKNOWN,), False)])
def test_unknown_is_not_a_pass(results: tuple[Result, ...], passed: bool) -> None:
    assert report(*results).passed is passed


def test_unknown_has_its_own_code() -> None:
    found = complaint(UNKNOWN)
    assert found is not None
    assert (found.code, found.severity) == (codes.UNDECIDED, Severity.WARNING)


def test_every_claim_has_a_code() -> None:
    assert set(CODES) == {*get_args(syntax.Claim), *get_args(syntax.PlanClaim)}
    assert len({*CODES.values()}) == len(get_args(syntax.Claim))  # plans share those of reach and cache


def test_summary_counts() -> None:
    broken = FileReport("x", errors=(Diagnostic("P101", "no", Span(SOURCE, 0, 1)),))
    assert verdicts.summary([report(PROVED, EXAMPLE, REFUTED), broken], PLAIN) == "2 proved, 1 refuted, 1 error"
    assert verdicts.summary([], PLAIN) == "no claims"


def test_what_fixes_can_do_is_counted() -> None:
    assert verdicts.summary([broken()], PLAIN) == "2 errors (1 with a fix: --fix applies it)"
    assert verdicts.summary([broken(), broken()], PLAIN) == "4 errors (2 with a fix: --fix applies them)"


def test_an_empty_line_stands_between_diagnostics() -> None:
    text = verdicts.text(broken(), PLAIN, quiet=False)
    assert text == verdicts.text(broken(), PLAIN, quiet=True)
    assert re.findall(r"^$|^error.*$", text, re.MULTILINE) == ["error[P201]: no `q`", "", "error[P101]: no"]


def broken() -> FileReport:
    """Two errors: one with everything a diagnostic can have, one over several lines."""
    name = Span(SOURCE, 8, 9)
    full = Diagnostic(
        "P201",
        "no `q`",
        name,
        notes=("100%",),
        help=("try `p`",),
        labels=(Label(Span(SOURCE, 23, 28), "asked for here"),),
        fix=Fix("write `q`", name, "q"),
    )
    return FileReport("a,b.pat", errors=(full, Diagnostic("P101", "no", Span(SOURCE, 0, 30))))


def test_json_of_claims() -> None:
    found = json.loads(formats.render("json", [report(REFUTED, EXAMPLE)], "0"))
    assert (found["version"], found["passed"]) == (1, False)
    first, second = found["files"][0]["patterns"][0]["claims"]
    assert first["witness"] == {"n": 120, "nk": None, "query": 0, "key": None}
    assert first["location"] == {"file": "a,b.pat", "line": 2, "column": 11, "end_line": 2, "end_column": 19}
    assert (second["status"], second["witness"]["key"]) == ("proved", 1)
    assert [one["code"] for one in found["files"][0]["diagnostics"]] == ["P302"]


def test_json_of_diagnostics() -> None:
    file = json.loads(formats.render("json", [broken()], "0"))["files"][0]
    assert file["errors"] == file["diagnostics"]
    name = {"file": "a,b.pat", "line": 1, "column": 9, "end_line": 1, "end_column": 10}
    assert file["errors"][0] == {
        "code": "P201",
        "severity": "error",
        "message": "no `q`",
        "location": name,
        "notes": ["100%"],
        "help": ["try `p`"],
        "labels": [
            {"location": name | {"line": 2, "column": 5, "end_line": 2, "end_column": 10}, "text": "asked for here"}
        ],
        "fix": {"title": "write `q`", "location": name, "replacement": "q"},
    }


def test_warnings_are_in_every_format() -> None:
    warned = report(Result(claim(), "nonempty", Status.PROVED, warning="true, and slow"))
    file = json.loads(formats.render("json", [warned], "0"))["files"][0]
    assert (file["passed"], [one["code"] for one in file["diagnostics"]]) == (True, ["P320"])
    assert file["patterns"][0]["claims"][0]["warning"] == "true, and slow"
    assert formats.render("github", [warned], "0").startswith("::warning file=a%2Cb.pat,line=2,")
    assert "warning[P320]" in verdicts.text(warned, PLAIN, quiet=False)
    assert verdicts.text(warned, PLAIN, quiet=True) == ""


def test_github_escapes_its_separators() -> None:
    assert formats.render("github", [report(REFUTED)], "0") == (
        "::error file=a%2Cb.pat,line=2,col=11,endLine=2,endColumn=19,title=P302::`nonempty` does not hold%0A"
        "witness: n = 120, i = 0%0Aqueries 0..119 attend to no key%0Ahelp: add `| self`"
    )


def test_github_gives_columns_only_within_a_line() -> None:
    first, second = formats.render("github", [broken()], "0").splitlines()
    assert (
        first
        == "::error file=a%2Cb.pat,line=1,col=9,endLine=1,endColumn=10,title=P201::no `q`%0A100%25%0Ahelp: try `p`"
    )
    assert second == "::error file=a%2Cb.pat,line=1,endLine=2,title=P101::no"


@pytest.mark.parametrize(("severity", "command"), [("error", "error"), ("warning", "warning"), ("note", "notice")])
def test_github_commands(severity: str, command: str) -> None:
    one = Diagnostic("P101", "no", Span(SOURCE, 0, 1), Severity(severity))
    assert formats.render("github", [FileReport("x.pat", errors=(one,))], "0").startswith(f"::{command} ")


def test_what_is_in_no_file_is_shown_at_the_file_it_was_given_to() -> None:
    argument = Source("argument l", "x")
    one = Diagnostic("P201", "no", Span(argument, 0, 1))
    assert formats.render("github", [FileReport("x.pat", errors=(one,))], "0") == "::error file=x.pat,title=P201::no"
    stock = Diagnostic("P201", "no", Span(Source("library:dense", "x"), 0, 1))
    shown = formats.render("github", [FileReport("library:dense", errors=(stock,))], "0")
    assert shown == "::error title=P201::no"


def test_an_unknown_format() -> None:
    with pytest.raises(ValueError, match="xml"):
        formats.render("xml", [], "0")


def test_colour_is_only_added() -> None:
    styled = verdicts.text(report(REFUTED, PROVED), Paint(True), quiet=False)
    assert re.sub(r"\x1b\[[\d;]*m", "", styled) == verdicts.text(report(REFUTED, PROVED), PLAIN, quiet=False)
    assert "\x1b[31;1m^^^^^^^^" in styled


def test_secondary_labels_have_their_own_colour() -> None:
    styled = verdicts.text(broken(), Paint(True), quiet=False)
    assert "\x1b[31;1merror[P201]\x1b[0m" in styled
    assert "\x1b[36;1m----- asked for here\x1b[0m" in styled
    assert "\x1b[33;1mwarning[P310]\x1b[0m" in verdicts.text(report(UNKNOWN), Paint(True), quiet=False)
