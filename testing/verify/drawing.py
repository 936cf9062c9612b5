"""drawing: what `patternc show` prints is the mask. A cell is filled where the pair attends whatever is selected,
open where it could, and empty elsewhere; its sign is that of the first step with such a pair."""

from __future__ import annotations

import shutil
from collections.abc import Collection

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ...compiler import bruteforce
from ...compiler.bruteforce import Choice
from ...compiler.pattern import Pattern, Plan
from ...compiler.report.draw import draw as drawn
from ...compiler.report.palette import GLYPHS, OPEN
from ..arguments import bindings, lengths
from .property import Example, Violated, bounded

MOST = 64
"""Tokens of an example: a terminal shows each pair as a cell."""


@st.composite
def _examples(draw: DrawFn, pattern: Pattern, fixed: Collection[str]) -> Example:
    bound = draw(bindings(pattern, fixed))
    return Example(bound, draw(lengths(bound, most=min(MOST, shutil.get_terminal_size().columns))))


class Drawing:
    name = "drawing"
    share = 1.0

    def left_out(self, subject: Pattern | Plan) -> str:
        return ""

    def examples(self, subject: Pattern | Plan, fixed: Collection[str]) -> SearchStrategy[Example]:
        assert isinstance(subject, Pattern)
        return _examples(subject, fixed)

    def judge(self, example: Example) -> None:
        with bounded():
            lines = drawn(example.pattern, example.n, color=False).splitlines()[: example.n]
            wanted = _expected(example)
        for query, (line, expected) in enumerate(zip(lines, wanted, strict=True)):
            if line != expected:
                raise Violated(f"query {query} is drawn as {line}, and its keys are {expected}")


def _expected(example: Example) -> list[str]:
    """The lines of the picture, by brute force."""

    def owners(choice: Choice) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """[n, n]: one more than the first step with the pair, 0 where there is none."""
        steps, direction = example.pattern.bound.steps, example.pattern.direction
        owner = np.zeros((example.n, example.n), dtype=np.int64)
        nk = example.n if direction == "cross" else None
        for number, step in reversed(list(enumerate(steps, start=1))):
            owner[bruteforce.mask(step.body, direction, example.n, nk, choice=choice)] = number
        return owner

    certain, possible = owners("must"), owners("may")
    signs = np.array(["·", *GLYPHS])
    filled = signs[np.where(certain > 0, (certain - 1) % len(GLYPHS) + 1, 0)]
    return ["".join(row) for row in np.where((certain == 0) & (possible > 0), OPEN, filled)]
