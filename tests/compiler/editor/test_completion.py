"""What is offered where."""

from __future__ import annotations

from pathlib import Path

import pytest
from marked import names

from patternc.compiler.editor.completion import Item, complete
from patternc.library import names as stock

HEAD = "rule near(w: int, s: set) = local(w)\npattern p(w: int = 4, g: set = {0}) causal grid(y, x = 4) {\n"
LEARN = "learn hot = topk_blocks(k = 4)\n"


def offered(marked: str, folder: Path | None = None) -> dict[str, Item]:
    return {item.label: item for item in complete(*names(marked, folder))}


@pytest.mark.parametrize(
    ("marked", "there", "not_there"),
    [
        ("§", "rule, pattern, plan, from", "step, causal, local"),
        ("pattern p §", "causal, bidirectional, cross", "grid, step"),
        ("pattern p cau§", "causal, bidirectional, cross", "local"),
        ("pattern p causal §", "grid", "causal"),
        ("rule r(w: §", "int, ratio, set, relation", "w"),
        (HEAD + "§", "require, learn, step, prove", "local, w"),
        (HEAD + "step a = self\n§", "require, step, prove, div", "local, layers"),
        (HEAD + "step §", "local, near, w, g, not, gated, select, everything", "x, y, n, topk"),
        (HEAD + LEARN + "step loc§", "local, hot", "topk_blocks"),
        (HEAD + "step a = self step b = §", "a, local", "b"),
        (HEAD + "step a = self step b = local( § ) step c = self", "a, w =, w", "b, c"),
        (HEAD + "step { (i, j) : §", "i, j, w, n, exists, not, abs, min, max", "local, nq, k, causal"),
        (HEAD + "step { (i, j) : exists k : i - §", "i, j, k, w, n", "local"),
        (HEAD + "step { (i, j) : i = j } | §", "local, w", "i, j"),
        (HEAD + "step { (i, j) : i.§", "x, y", "i, w, local"),
        (HEAD + "step { (i, j) : i in §", "first, near, g", ""),
        (HEAD + "step near(§", "w =, s =, local, w", ""),
        (HEAD + "step near(s = first(1), §", "w =", "s ="),
        (HEAD + "step near(3, §", "s =", "w ="),
        (HEAD + "require §", "w, abs", "n, local"),
        (HEAD + "learn h = §", "topk_blocks, importance, granularity", "local, w"),
        (HEAD + "learn h = topk_blocks(§", "k, block, relax, forced", ""),
        (HEAD + "learn h = topk_blocks(k = 4, §", "block, relax, forced", "k"),
        (HEAD + "learn h = topk_blocks(relax = §", "lapsum, sparsek", "first, w"),
        (HEAD + "learn h = topk_blocks(k = §", "w", "lapsum, first, local"),
        (HEAD + "learn h = topk_blocks(forced = [§", "first, diagonal", "lapsum, local"),
        (HEAD + "step a = self prove §", "nonempty, reach in K steps, R <= S, keys <= E, a, near", "merged"),
        (HEAD + "step self prove reach in 2 §", "steps, step", "layers"),
        (HEAD + "step self prove nonempty at §", "n", "local, w"),
        ("plan m { §", "layers, prove", "step, local"),
        ("plan m { layers §", "all", "local"),
        ("pattern own causal { step self } plan m { layers all : §", "own, longformer, dense", "local, all"),
        ("pattern own causal { step self } plan m { layers all : own §", "merged, interleaved, heads, layers", "dense"),
        ("plan m { layers all : dense prove §", "reach in K layers, cache <= E", "nonempty"),
        ('from "library:longformer" import §', "longformer", "local, dense"),
        ('from "library:axial" import axial, §', "axial, axial_wrapped", "dense"),
        ('from "library:axial" §', "import", "axial"),
    ],
)
def test_what_is_offered(marked: str, there: str, not_there: str) -> None:
    found = offered(marked)
    assert set(there.split(", ")) <= found.keys()
    assert not set(not_there.split(", ")) & found.keys()


@pytest.mark.parametrize(
    "marked",
    [
        "rule §",
        "pattern §",
        HEAD + "learn §",
        "rule r(§",
        HEAD + "# step §",
        '"""step §"""',
        HEAD + "step local(1§",
        "from §",
    ],
)
def test_where_nothing_is_offered(marked: str) -> None:
    assert not {name for name, item in offered(marked).items() if item.sort != "keyword"}


def test_a_mistake_elsewhere_does_not_matter() -> None:
    found = offered(HEAD + "step ) = | $\nprove prove\nstep §")
    assert "local" in found
    assert found == offered(HEAD + "step ) = | $\nprove prove\nstep §\nstep (((")


def test_files(tmp_path: Path) -> None:
    (tmp_path / "other.pat").write_text("rule mine(k: int) = local(k)", encoding="utf-8")
    (tmp_path / "main.pat").write_text("", encoding="utf-8")
    found = offered('from "oth§', tmp_path)
    assert {*(f"library:{name}" for name in stock()), "other.pat"} == found.keys()
    assert {item.start for item in found.values()} == {6}
    rule = offered('from "other.pat" import mi§', tmp_path)["mine"]
    assert rule.detail == "rule mine(k: int)"
    assert offered('from "other.pat" import mine as yours rule r = §', tmp_path)["yours"].detail == "rule mine(k: int)"


def test_an_item() -> None:
    item = offered(HEAD + "step a = loc§")["local"]
    assert item.detail == "rule local(w: int)" and "self included" in item.documentation
    assert item.insert == "local(${1:w})" and item.start == len(HEAD) + len("step a = ")
