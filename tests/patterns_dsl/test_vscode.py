"""The VS Code extension: its files are what VS Code reads, its words are the language's, and its client works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import patternc
from patternc.patterns_dsl.binding.terms import LENGTHS
from patternc.patterns_dsl.builtin.natives import NATIVES
from patternc.patterns_dsl.builtin.prelude import prelude
from patternc.patterns_dsl.builtin.selectors import KINDS
from patternc.patterns_dsl.diagnostics.source import Source
from patternc.patterns_dsl.parsing.kinds import FUNCTIONS
from patternc.patterns_dsl.parsing.parse import parse, words

FOLDER = Path(patternc.__file__).parent / "patterns_dsl" / "vscode"
NODE = shutil.which("node")


def content(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def expressions(node: Any) -> list[str]:
    """Every regular expression of a grammar."""
    if isinstance(node, list):
        return [found for one in node for found in expressions(one)]
    if not isinstance(node, dict):
        return []
    own = [node[key] for key in ("match", "begin", "end") if key in node]
    return own + [found for value in node.values() for found in expressions(value)]


def spelled(expression: str) -> set[str]:
    """The words that stand in a regular expression as themselves."""
    plain = re.sub(r"\[[^\]]*\]", " ", expression)  # classes of characters
    plain = re.sub(r"\\[a-zA-Z]", " ", plain)  # \b, \s
    return set(re.findall(r"[A-Za-z][A-Za-z_]*", re.sub(r"n\[qk\]\?", " ", plain)))


def listed(name: str) -> set[str]:
    """The alternatives of a rule of the grammar that is a list of words."""
    found = re.search(r"\(([a-z_|]+)\)", content("syntaxes/pat.tmLanguage.json")["repository"][name]["match"])
    assert found is not None
    return set(found[1].split("|"))


def test_the_manifest() -> None:
    found = content("package.json")
    assert {"name", "version", "publisher", "engines", "main", "contributes"} <= found.keys()
    assert found["version"] == patternc.__version__
    (language,), (grammar,) = found["contributes"]["languages"], found["contributes"]["grammars"]
    assert language["id"] == grammar["language"] == "pat" and language["extensions"] == [".pat"]
    assert grammar["scopeName"] == content("syntaxes/pat.tmLanguage.json")["scopeName"]
    named = [found["main"], language["configuration"], grammar["path"]]
    named += [snippets["path"] for snippets in found["contributes"]["snippets"]]
    for path in named:
        assert (FOLDER / path).is_file(), path
    assert "dependencies" not in found and "scripts" not in found


def test_the_configuration() -> None:
    found = content("language-configuration.json")
    assert found["comments"] == {"lineComment": "#"}
    assert {tuple(pair) for pair in found["brackets"]} == {("{", "}"), ("(", ")"), ("[", "]")}
    increase = re.compile(found["indentationRules"]["increaseIndentPattern"])
    assert increase.search("pattern p(w: int = 4) causal {") and not increase.search("    step { (i, j) : i = j }")
    assert re.search(found["indentationRules"]["decreaseIndentPattern"], "}")


class TestGrammar:
    def test_every_rule_is_used_and_known(self) -> None:
        found = content("syntaxes/pat.tmLanguage.json")
        assert {one["include"][1:] for one in found["patterns"]} == found["repository"].keys()

    def test_its_words_are_the_words_of_the_language(self) -> None:
        there = {word for one in expressions(content("syntaxes/pat.tmLanguage.json")) for word in spelled(one)}
        names = {rule.name for rule in prelude().rules} | set(NATIVES) | set(KINDS) | set(FUNCTIONS) | set(LENGTHS)
        assert words() <= there
        assert there <= words() | names

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("prelude", {rule.name for rule in prelude().rules}),
            ("native", set(NATIVES)),
            ("function", set(FUNCTIONS)),
            ("length", set(LENGTHS)),
        ],
    )
    def test_its_names_are_those_that_every_file_has(self, name: str, expected: set[str]) -> None:
        assert listed(name) == expected

    def test_its_selectors(self) -> None:
        statement = content("syntaxes/pat.tmLanguage.json")["repository"]["statement"]
        assert set(KINDS) <= {word for one in expressions(statement) for word in spelled(one)}


@pytest.mark.parametrize("name", content("snippets/pat.json"))
def test_a_snippet_is_a_text_of_the_language(name: str) -> None:
    snippet = content("snippets/pat.json")[name]
    assert snippet["prefix"] and snippet["description"]
    text = "\n".join(snippet["body"])
    defaults = dict(re.findall(r"\$\{(\d+):((?:[^{}]|\$\{?\d)*)\}", text))
    for _ in range(3):
        text = re.sub(r"\$\{(\d+):((?:[^{}])*)\}", r"\2", text)
        text = re.sub(r"\$(\d+)", lambda found: defaults.get(found[1], ""), text)
    assert "$" not in text
    around = {"pairs": ("rule r = ", ""), "learn": ("pattern p causal { ", " step select(hot) }")}
    before, after = around.get(snippet["prefix"], ("", ""))
    parse(Source(name, before + text + after))


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_the_client_in_a_stand_in_for_the_editor() -> None:
    pytest.importorskip("pygls")
    host = Path(__file__).parent / "vscode_host.js"
    command = [sys.executable, "-c", "from patternc.cli import main; main()", "lsp"]
    done = subprocess.run(
        [NODE or "", str(host), str(FOLDER), *command], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    did = json.loads(done.stdout)
    assert did["wrong"]["severity"] == 0 and "did you mean `local`?" in did["wrong"]["message"]
    assert did["wrong"]["range"] == {"start": {"line": 1, "character": 9}, "end": {"line": 1, "character": 15}}
    assert did["fix"]["edits"][0]["newText"] == "local(4)" and did["fix"]["preferred"]
    assert did["refuted"] == ["P302"]
    assert "rule local(w: int)" in did["hover"] and did["again"] == did["hover"]
    assert did["local"]["kind"] == 2 and did["local"]["insert"] == "local(${1:w})"
    assert did["definition"].endswith("/patterns_dsl/builtin/prelude.pat")
    assert did["symbols"] == ["p"]
    assert did["formatted"] == "pattern p causal {\n    step local(4)\n    prove nonempty\n}\n"
    assert did["errors"] == []
