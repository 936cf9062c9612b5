"""Texts with a cursor in them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from patternc.compiler.editor.buffers import Buffers
from patternc.compiler.editor.outline import outline
from patternc.compiler.editor.symbols import Names
from patternc.compiler.pattern import find_import
from patternc.patterns_dsl.diagnostics.source import Source

CURSOR = "§"

EVERYTHING = '''"""About the file."""
from "library:dense" import dense as full
"""A window of w keys."""
rule near(w: int, s: set = {0, 5}) = local(w) | columns(s)
pattern p(w: int = 4, g: set = {0}, share: ratio = 10%) causal grid(y, x = 4) {
    """Inside."""
    require w >= 1
    learn hot = topk_blocks(k = 4, forced = [first, diagonal], relax = lapsum)
    learn seen = importance(budget = share)
    step a = near(w, s = g) | { (i, j) : i.x = j.x and exists k in 0..3 : i - j = 2^k } | select(hot)
    step b = self | columns(seen) | gated pooled(4)
    prove nonempty
    prove reach in 1 step at n = 64
    prove a <= causal
}
plan model {
    layers 0..3 heads 0..1 : p(w = 8, g = first(2)) interleaved
    layers 4, 6 : streaming
    prove reach in 3 layers
}
'''
"""Every construct of the language, some of it in a wrong place for a proof."""


def cut(marked: str) -> tuple[str, int]:
    """The text without its cursor, and where the cursor is."""
    before, after = marked.split(CURSOR)
    return before + after, len(before)


def names(marked: str, folder: Path | None = None) -> tuple[Names, int]:
    """The names of a text with a cursor, as of a file in the folder."""
    text, offset = cut(marked)
    name = "main.pat" if folder is None else str(folder / "main.pat")
    source = Source(name, text, folder)
    return Names(outline(source), partial(find_import, reader=Buffers().read)), offset
