"""A prediction as text for people and as plain data for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..explain.prediction import BreakEven, Choice, Prediction


def lines(prediction: Prediction) -> Iterator[str]:
    """``time  3.2 ms forward, 1.6 times faster than dense (5.1 ms): strips; arranged would take 4 ms``."""
    for name, choice in (("forward", prediction.forward), ("backward", prediction.backward)):
        head = "  time     " if name == "forward" else "           "
        yield f"{head}{in_words(name, choice)}"
    yield f"           predicted for {prediction.machine}, {prediction.where}; {prediction.basis}"


def ways(lists: Sequence[BreakEven]) -> Iterator[str]:
    """``lists    `hot` up to 61 % of the pairs; beyond, dense attention under a mask``."""
    for number, each in enumerate(lists):
        head = "  lists    " if number == 0 else "           "
        if each.density <= 0:
            yield f"{head}`{each.selector}` never: dense attention under a mask is predicted to be faster"
        elif each.density >= 1:
            yield f"{head}`{each.selector}` whatever is selected"
        else:
            yield f"{head}`{each.selector}` up to {each.density:.0%} of the pairs; beyond, dense under a mask"


def in_words(direction: str, choice: Choice) -> str:
    """Of one direction, with the reason for the choice."""
    best, *others = choice.ways
    ratio = f"{choice.speedup:.2f} times as fast as dense ({duration(choice.dense)})"
    rest = "".join(f"; {way.name} {duration(way.seconds)}" for way in others)
    return f"{duration(best.seconds)} {direction}, {ratio}, as {best.name}{rest}"


def plain(prediction: Prediction) -> dict[str, Any]:
    """For JSON: every field, and the ratio to dense."""
    found = asdict(prediction)
    for name, choice in (("forward", prediction.forward), ("backward", prediction.backward)):
        found[name] |= {"chosen": choice.chosen.name, "seconds": choice.chosen.seconds, "speedup": choice.speedup}
    return found


def duration(seconds: float) -> str:
    """Three digits: ``3.21 ms``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
