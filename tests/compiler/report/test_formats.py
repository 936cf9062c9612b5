"""Verdicts as text, JSON, SARIF and workflow commands."""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest

from patternc.compiler.examine import CODES, FileReport, Finding, complaint
from patternc.compiler.report import formats, verdicts
from patternc.compiler.report.palette import Paint
from patternc.compiler.verify.result import Result, Status, Witness
from patternc.patterns_dsl import syntax
from patternc.patterns_dsl.diagnostics import codes
from patternc.patterns_dsl.diagnostics.diagnostic import Diagnostic, Severity
from patternc.patterns_dsl.diagnostics.source import Source, Span

SOURCE = Source("a,b.pat", "pattern p causal {\n    prove nonempty\n}\n")
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


def test_json() -> None:
    found = json.loads(formats.render("json", [report(REFUTED, EXAMPLE)], "0"))
    assert (found["version"], found["passed"]) == (1, False)
    first, second = found["files"][0]["patterns"][0]["claims"]
    assert first["witness"] == {"n": 120, "query": 0, "key": None}
    assert first["location"] == {"file": "a,b.pat", "line": 2, "column": 11, "end_line": 2, "end_column": 19}
    assert (second["status"], second["witness"]["key"]) == ("proved", 1)


def test_github_escapes_its_separators() -> None:
    assert formats.render("github", [report(REFUTED)], "0") == (
        "::error file=a%2Cb.pat,line=2,col=11,title=P302::`nonempty` does not hold%0A"
        "witness: n = 120, i = 0%0Aqueries 0..119 attend to no key%0Ahelp: add `| self`"
    )


def test_sarif() -> None:
    run = json.loads(formats.render("sarif", [report(REFUTED, UNKNOWN)], "1.2.3"))["runs"][0]
    assert run["tool"]["driver"]["version"] == "1.2.3"
    assert [(found["ruleId"], found["level"]) for found in run["results"]] == [("P302", "error"), ("P310", "warning")]
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] == 2


def test_colour_is_only_added() -> None:
    styled = verdicts.text(report(REFUTED, PROVED), Paint(True), quiet=False)
    assert re.sub(r"\x1b\[[\d;]*m", "", styled) == verdicts.text(report(REFUTED, PROVED), PLAIN, quiet=False)
    assert "\x1b[31;1m^^^^^^^^" in styled
