"""What the formatter never changes: on random texts, on those that we have, and on docstrings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from texts import check, laid_out, texts, without_docstrings

import patternc
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.patterns_dsl.diagnostics.source import Source
from patternc.patterns_dsl.formatting.documentation import indented
from patternc.patterns_dsl.parsing.declare import plain
from patternc.patterns_dsl.parsing.parse import lexemes, parse
from patternc.patterns_dsl.parsing.read import read

ROOT = Path(patternc.__file__).parent
STATEMENTS = {"RULE", "PATTERN", "PLAN", "REQUIRE", "LEARN", "PROVE", "DOC"}  # these words are nothing else


@given(texts())
@settings(deadline=None)
def test_the_tree_and_the_comments_stay_and_so_does_the_layout(text: str) -> None:
    result = check(text)
    assert result == "" or (result.endswith("\n") and not result.startswith("\n") and not result.endswith("\n\n"))
    code = without_docstrings(result)
    assert "\n\n\n" not in code
    assert not re.search(r"[ \t\r]$", code, re.MULTILINE)


@given(texts())
@settings(deadline=None)
def test_a_statement_begins_its_line(text: str) -> None:
    found = list(lexemes(Source("test.pat", laid_out(text))))
    assert all(each.breaks for each in found[1:] if each.kind in STATEMENTS)


FILES = [*sorted((ROOT / "library").glob("*.pat")), ROOT / "patterns_dsl/builtin/prelude.pat"]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_on_the_stock_files(file: Path) -> None:
    check(read(file).text)


def test_the_prelude_is_laid_out() -> None:
    text = read(ROOT / "patterns_dsl/builtin/prelude.pat").text
    assert laid_out(text) == text


BLOCKS = [
    pytest.param(block, id=f"{file.name}:{place}")
    for file in sorted((ROOT / "docs").glob("*.md"))  # those of docs/errors hold mistakes
    for place, block in enumerate(re.findall(r"```pat\n(.*?)```", file.read_text(encoding="utf-8"), re.DOTALL))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_on_the_blocks_of_the_documents(block: str) -> None:
    """The pages of the errors show mistakes as well: the formatter refuses them as the parser does."""
    try:
        parse(Source("test.pat", block))
    except PatternError as error:
        with pytest.raises(PatternError, match=re.escape(str(error))):
            laid_out(block)
    else:
        check(block)


def test_what_cannot_be_parsed_is_refused_with_every_mistake() -> None:
    with pytest.raises(PatternError) as caught:
        laid_out("rule a = = b\nrule b = ?\nrule c = self")
    assert len(caught.value.diagnostics) == 2


DOCSTRINGS = st.text(st.sampled_from('ab \t\n\N{IDEOGRAPHIC SPACE}"')).filter(lambda text: '"""' not in text + '"')


@given(DOCSTRINGS, st.sampled_from([0, 4]))
@example("\n  \n", 4)
@example("a\n\n      b\n    c\n", 4)
@settings(deadline=None)
def test_a_docstring_says_the_same_wherever_it_stands(text: str, indent: int) -> None:
    docstring = f'"""{text}"""'
    lines = indented(docstring, indent)
    assert plain("\n".join(lines)) == plain(docstring)
    assert indented("\n".join(lines), indent) == lines
