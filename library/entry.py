"""What a stock pattern is and costs, for people who choose one: in the words of its own claims, which are proved.

Nothing is proved here: a file is parsed and bound, so that a list of all is made in a moment, and says what files say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..patterns_dsl.syntax import BoundPattern, Cache, Claim, Direction, Integer, Keys, Pattern, Reach
from .catalogue import names, source, summary

NONE = "-"
"""What does not apply: hops between two sequences, a cache where nothing is decoded."""

UNKNOWN = "?"
"""What a file claims nothing of: what is learned or comes with the data decides, or a proof would take too long."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A stock pattern, with the parameters of its paper. ``first``: it has the name of its file.

    ``parameters`` are these, as in ``l = 128, c = 8``. ``keys`` and ``cache`` bound the keys that a query reads, and
    those that stay live while decoding: terms of the language, and the length where they hold at one only. ``hops``
    are the layers after which every query has heard of every token it may. ``paper`` is the source as its file names
    it, ``author`` its first author and year. ``summary`` is the sentence about the file; about a further pattern, the
    one that says what is different.
    """

    file: str
    name: str
    first: bool
    parameters: str
    kind: str
    direction: Direction
    keys: str
    hops: str
    cache: str
    author: str
    paper: str
    summary: str


def entries() -> tuple[Entry, ...]:
    """All stock patterns, those of a file one after another, by the names of files."""
    return tuple(each for name in names() for each in of_file(name))


def of_file(name: str) -> tuple[Entry, ...]:
    """The patterns of a stock file, the one with its name first. Raises UnknownPattern."""
    # The compiler reads the catalogue: imported at the top, each would wait for the other.
    from ..compiler.pattern import Module

    module = Module(source(name))
    sentence = summary(name)
    return tuple(
        _entry(name, tree, module[tree.name].bound, sentence, first=number == 0)
        for number, tree in enumerate(module.tree.patterns)
    )


def _entry(file: str, tree: Pattern, bound: BoundPattern, sentence: str, *, first: bool) -> Entry:
    from ..compiler.explain.kind import terms, together
    from ..compiler.selection import spelled

    paper = _paper(sentence)
    return Entry(
        file=file,
        name=tree.name,
        first=first,
        parameters=", ".join(f"{parameter} = {spelled(value)}" for parameter, value in bound.arguments),
        kind=str(together(term.kind for term in terms(bound))),
        direction=tree.direction,
        keys=_bound(tree, bound, Keys) or UNKNOWN,
        hops=NONE if tree.direction is Direction.CROSS else hops(bound) or UNKNOWN,
        cache=(_bound(tree, bound, Cache) or UNKNOWN) if tree.direction is Direction.CAUSAL else NONE,
        author=_author(paper),
        paper=paper,
        summary=sentence if first else " ".join((tree.documentation or "").split()),
    )


# --- claims ---


def _bound(tree: Pattern, bound: BoundPattern, kind: type[Keys] | type[Cache]) -> str:
    """The bound that a claim states, as it is written; one that holds for every length before one that does not."""
    found = [
        (known, " ".join(written.most.span.text.split()))
        for written, known in zip(tree.claims, bound.claims, strict=True)
        if isinstance(written, kind)
    ]
    for known, text in sorted(found, key=lambda each: each[0].at is not None):
        return text + _at(known)
    return ""


def hops(bound: BoundPattern) -> str:
    """``2``, ``9 at n = 512``, ``never``, ``over 3 at n = 896``: the fewest that are claimed, for every length if any
    are; nothing where none are."""
    claims = [claim for claim in bound.claims if isinstance(claim, Reach)]
    stated = sorted((claim for claim in claims if claim.steps), key=lambda claim: (claim.at is not None, _steps(claim)))
    for claim in stated:
        if not claim.negated:
            return f"{_steps(claim)}{_at(claim)}"
    if any(claim.negated and claim.steps is None for claim in claims):
        return "never"
    return f"over {_steps(stated[-1])}{_at(stated[-1])}" if stated else ""


def _steps(claim: Reach) -> int:
    assert isinstance(claim.steps, Integer)
    return claim.steps.value


def _at(claim: Claim) -> str:
    if claim.at is None:
        return ""
    lengths = zip((name for name, _ in claim.at.lengths), claim.at.values, strict=True)
    return " at " + ", ".join(f"{name} = {value}" for name, value in lengths)


# --- the paper ---


def _paper(sentence: str) -> str:
    """What stands in the last parentheses of a file's documentation; nothing where there are none."""
    found = re.search(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)\.$", sentence)
    return found.group(1) if found else ""


def _author(paper: str) -> str:
    """``Child 2019``; what comes first where there is no year."""
    found = re.search(r"([A-Z][\w-]*)(?: et al\.| & [A-Z]\w*)? (\d{4})", paper)
    return " ".join(found.groups()) if found else paper.partition(",")[0]
