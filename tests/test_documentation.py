"""What the documents promise is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import patternc as pc
from patternc.compiler.examine import CODES
from patternc.compiler.report.draw import save
from patternc.patterns_dsl.builtin import natives, selectors
from patternc.patterns_dsl.builtin.prelude import prelude
from patternc.patterns_dsl.diagnostics import codes
from patternc.patterns_dsl.parsing.parse import words

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    """Their pages are tested in test_error_pages.py."""
    documented = {page.stem for page in (ROOT / "docs/errors").glob("P*.md")}
    written = {code for room in ("patterns_dsl", "compiler", "runtime", "library") for code in _codes(ROOT / room)}
    assert documented == {*codes.TITLES, *CODES.values(), *written}


def _codes(room: Path) -> set[str]:
    texts = (path.read_text(encoding="utf-8") for path in room.rglob("*.py"))
    return {code for text in texts for code in re.findall(r'"(P[1-4]\d\d)"', text)}


@pytest.mark.parametrize("name", ["language.md", "tutorial.md"])
def test_the_language_reference_is_true(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```pat\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == {"language.md": 7, "tutorial.md": 2}[name]
    for block in blocks:
        module = pc.loads(block, name)
        for checked in (*module.patterns.values(), *module.plans.values()):
            assert {result.status for result in pc.check(checked)} <= {pc.Status.PROVED, pc.Status.CHECKED}, (
                checked.name
            )


def test_the_language_reference_is_whole() -> None:
    text = (ROOT / "docs/language.md").read_text(encoding="utf-8")
    for name in (*(rule.name for rule in prelude().rules), *natives.NATIVES, *selectors.KINDS):
        assert f"`{name}" in text, name
    for kind in selectors.KINDS.values():
        assert all(f"`{option}`" in text for option in kind.options)
    grammar = text[text.index("## The grammar") :]
    assert {word for word in words() if f'"{word}"' not in grammar} == set()


def test_the_picture_is_what_show_draws(tmp_path: Path) -> None:
    save(pc.load("library:fixed_factorized")["fixed_factorized"], 512, tmp_path / "x.svg")
    assert (tmp_path / "x.svg").read_bytes() == (ROOT / "docs/fixed_factorized.svg").read_bytes()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_examples_of_testing_run(tmp_path: Path) -> None:
    """As a reader's own tests, with the deadline of Hypothesis where they set none: a process that has nothing yet."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/testing.md").read_text(encoding="utf-8"), re.DOTALL)
    for number, block in enumerate(blocks):
        (tmp_path / f"test_{number}.py").write_text(block, encoding="utf-8")
    profile = "from hypothesis import settings\nsettings.register_profile('few', max_examples=5)\n"
    (tmp_path / "conftest.py").write_text(profile, encoding="utf-8")
    start = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=few", str(tmp_path)]
    done = subprocess.run(start, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("name", ["attention.md", "learned.md", "training.md"])
def test_the_examples_run(name: str) -> None:
    """One after the other: what an example has made, the next may use."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / name).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, name, "exec"), names)


def test_the_example_of_selectors_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/selectors.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(block, "selectors.md", "exec"), names)
    assert 0 <= float(capsys.readouterr().out) <= 1
    assert names["layer"].selectors["important"].scorer.columns.bias.grad is not None


def test_the_examples_for_a_model_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the README, the tutorial and speed.md do to a model and a file of the reader's own."""
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    text = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    [mine, *_] = re.findall(r"```pat\n(.*?)```", text, re.DOTALL)
    (tmp_path / "mine.pat").write_text(mine, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for name in ("README.md", "docs/tutorial.md", "docs/speed.md"):
        [block] = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)
        if "model" in block:
            names["ids"] = torch.tensor([[3, 1, 4]])
            names["model"] = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=8, **sizes))
        exec(compile(block, name, "exec"), names)
    assert names["found"].forward.speedup > 0


def test_glossary_defines_each_term_once() -> None:
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:[^|\\]|\\.)+?) \|", text, re.MULTILINE)[1:]
    terms = [term for row in rows for term in re.findall(r"`[^`]*`|[^,`]+", row) if term.strip() and term != "---"]
    assert len(terms) == len(set(terms))
