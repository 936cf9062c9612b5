"""Selections that decide on nothing: what they choose is certain, or no step reads it."""

from __future__ import annotations

from collections.abc import Iterator

from ..patterns_dsl.syntax import BoundPattern, Direction, Selector
from .relations.settle import opens


def forced_choices(pattern: BoundPattern) -> Iterator[tuple[str, str]]:
    """(the name of a selection, a sentence) for each that is read and chooses what is forced, and nothing else: no
    gradient of a task reaches its scores, and what distillation makes of them changes nothing.

    Forced choices count among the k. Where k is their number nothing else is chosen, but where both are forced in a
    bidirectional pattern, and the first queries have them in one: these have a choice left.
    """
    read = _read(pattern)
    for selector in pattern.selectors:
        options = dict(selector.options)
        k, forced = options.get("k"), options.get("forced")
        if selector.name not in read or not isinstance(k, int) or not isinstance(forced, tuple) or k > len(forced):
            continue
        in_one = selector.kind == "topk_blocks" or options["tile"] == 1  # a tile of several has its list for all
        if len(forced) > 1 and pattern.direction is Direction.BIDIRECTIONAL and in_one:
            continue
        what = "blocks" if selector.kind == "topk_blocks" else "keys"
        given = f"k = {k} and {' and '.join(forced)} {'is' if len(forced) == 1 else 'are'} forced"
        yield selector.name, f"`{selector.name}` decides on nothing, since {given}: choose more {what}, or force less"


def idle_choices(pattern: BoundPattern) -> Iterator[tuple[str, str]]:
    """As ``forced_choices``, with what plainly has no choice: one level, or a selection that no step reads."""
    yield from forced_choices(pattern)
    read = _read(pattern)
    for selector in pattern.selectors:
        if selector.name not in read:
            yield selector.name, f"no step reads `{selector.name}`: leave it out, or write it into a step"
        elif (level := _only_level(selector)) is not None:
            yield selector.name, f"`{selector.name}` decides on nothing, since {level} is its only level: name another"


def _read(pattern: BoundPattern) -> frozenset[str]:
    return frozenset(one.source for one in opens(pattern.union))


def _only_level(selector: Selector) -> str | None:
    levels = dict(selector.options).get("levels")
    return levels[0] if isinstance(levels, tuple) and len(levels) == 1 else None
