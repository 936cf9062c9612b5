"""What a text declares, while it is whole and while it is being written."""

from __future__ import annotations

import pytest
from marked import EVERYTHING

from patternc.compiler.editor.declarations import Declaration, Sort, declarations
from patternc.compiler.editor.definition import entries
from patternc.compiler.editor.outline import outline
from patternc.patterns_dsl.diagnostics.source import Source
from patternc.patterns_dsl.parsing.parse import parse


def declared(text: str) -> dict[str, Declaration]:
    return {one.name: one for one in declarations(outline(Source("x", text)))}


def test_everything() -> None:
    found = declared(EVERYTHING)
    assert [(one.sort, name) for name, one in found.items()] == [
        (Sort.IMPORT, "full"),
        (Sort.RULE, "near"),
        (Sort.PATTERN, "p"),
        (Sort.PLAN, "model"),
    ]
    assert found["full"].original == "dense" and found["full"].type == "library:dense"
    assert found["near"].head == "rule near(w: int, s: set = {0, 5})"
    assert found["near"].documentation == "A window of w keys."
    assert found["p"].head == "pattern p(w: int = 4, g: set = {0}, share: ratio = 10%) causal"
    assert found["p"].documentation == "Inside."
    assert [(part.sort.value, part.name, part.type) for part in found["p"].parts] == [
        ("parameter", "w", "int"),
        ("parameter", "g", "set"),
        ("parameter", "share", "ratio"),
        ("axis", "y", ""),
        ("axis", "x", ""),
        ("selection", "hot", "topk_blocks"),
        ("selection", "seen", "importance"),
        ("step", "a", ""),
        ("step", "b", ""),
    ]


def test_it_agrees_with_the_parser() -> None:
    source = Source("x", EVERYTHING)
    tree, found = parse(source), declared(EVERYTHING)
    for one in (*tree.rules, *tree.patterns, *tree.plans):
        assert found[one.name].whole == one.span
    (pattern,) = tree.patterns
    places = {(part.name, part.whole) for part in found["p"].parts}
    grid = pattern.grid.axes if pattern.grid else ()
    assert places == {(part.name, part.span) for part in (*pattern.parameters, *grid, *pattern.learned, *pattern.steps)}


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("pattern p( causal { step a = local( step b = self }", ["a", "b"]),
        ("pattern p causal { step a = { (i, j) : i step b = self", ["a", "b"]),
        ("pattern p causal { step a = $ \0 step b", ["a"]),
        ("pattern p causal { prove reach in 1 step step a = self }", ["a"]),
        ("pattern p causal { prove reach in step a = self }", ["a"]),
        ("pattern p causal { } step a = self", []),
        ("pattern p causal step a = self", []),
    ],
)
def test_a_broken_text_keeps_its_steps(text: str, steps: list[str]) -> None:
    assert [part.name for part in declared(text)["p"].parts if part.sort is Sort.STEP] == steps


def test_a_list_of_symbols() -> None:
    near, pattern, plan = entries(outline(Source("x", EVERYTHING)))
    assert [part.name for part in near.parts] == ["w", "s"]
    assert [part.name for part in pattern.parts] == ["w", "g", "share", "hot", "seen", "a", "b"]
    assert plan.whole.start < plan.place.start < plan.whole.end and not plan.parts
