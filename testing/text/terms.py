"""Terms as text: linear in the positions, with positive divisors, `abs`, `min`, `max` and grid coordinates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from .vocabulary import PAIR, Vocabulary

Writer: TypeAlias = Callable[[DrawFn, Vocabulary, int], str]
"""Draws one kind of text in a vocabulary, nested so many levels deep at most."""

_SMALL = st.integers(1, 9)
_LARGER = (12, 16, 31, 32, 64, 100)


def atom(text: str) -> str:
    """The text as an operand: in parentheses, unless it is a name, a number, a call or bracketed already."""
    if re.fullmatch(r"-?\w+(\.\w+)?", text):
        return text
    depth, first = 0, re.match(r"\w*[({]", text)
    for place, char in enumerate(text if first else ""):
        depth += (char in "({") - (char in ")}")
        if depth == 0 and char in ")}":
            return text if place == len(text) - 1 else f"({text})"
    return f"({text})"


def choose(draw: DrawFn, *writers: Writer) -> Writer:
    """One of the kinds; a failing example shrinks to the first that still fails."""
    return draw(st.sampled_from(writers))


def repeated(draw: DrawFn, most: int) -> Iterator[int]:
    """0, 1, ... up to ``most`` times. Each time is drawn just before what it is for, so that shrinking can cut one out
    and leave the rest as it was."""
    for place in range(most + 1):
        if not draw(st.booleans()) or place == most:
            return
        yield place


@st.composite
def numbers(draw: DrawFn, vocabulary: Vocabulary = PAIR, *, simple: bool = False) -> str:
    """A known number of at least 1: a literal, a parameter, or a little arithmetic with one."""
    small = str(draw(_SMALL))
    names = vocabulary.numbers
    with_name = ["name", "name", "name", "more", "twice", "most"] if names else []
    kind = draw(st.sampled_from([*["small"] * 4, "larger", "power", *with_name]))
    name = draw(st.sampled_from(names)) if names else ""
    match kind:
        case "larger":
            return str(draw(st.sampled_from(_LARGER)))
        case "power" if not simple:
            return f"2^{draw(st.integers(0, 5))}"
        case "name":
            return name
        case "more" if not simple:
            return f"{name} + {small}"
        case "twice" if not simple:
            return f"{small} * {name}"
        case "most" if not simple:
            return f"max({name}, {small})"
        case _:
            return small


@st.composite
def constants(draw: DrawFn, vocabulary: Vocabulary = PAIR) -> str:
    """A known number of any sign."""
    if draw(st.integers(0, 3)) == 3:
        return draw(numbers(vocabulary))
    return str(draw(st.integers(-4, 12)))


@st.composite
def terms(draw: DrawFn, vocabulary: Vocabulary = PAIR, depth: int = 2, *, cases: bool = True) -> str:
    """A term as text, such as ``(i - j) mod 3``.

    ``cases``: `abs`, `min` and `max` may occur. Each doubles the cases that a comparison is written out into.
    """
    leaves: list[Writer] = [*[_position] * 4 * bool(vocabulary.positions), _constant, _number]
    leaves += [_length] * bool(vocabulary.lengths)
    branches: list[Writer] = [_sum, _difference, _multiple, _quotient, _remainder, _negated]
    branches += [_case] * 3 * cases + [_coordinate] * 2 * bool(vocabulary.axes and vocabulary.positions)
    return choose(draw, *leaves, *(branches if depth else ()))(draw, vocabulary, depth)


def _position(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return draw(st.sampled_from(vocabulary.positions))


def _length(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return draw(st.sampled_from(vocabulary.lengths))


def _number(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return draw(numbers(vocabulary))


def _constant(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return draw(constants(vocabulary))


def _inner(draw: DrawFn, vocabulary: Vocabulary, depth: int, *, cases: bool = False) -> str:
    return draw(terms(vocabulary, depth - 1, cases=cases))


def _sum(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"{_inner(draw, vocabulary, depth)} + {atom(_inner(draw, vocabulary, depth))}"


def _difference(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"{_inner(draw, vocabulary, depth)} - {atom(_inner(draw, vocabulary, depth))}"


def _multiple(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    factor, term = atom(draw(constants(vocabulary))), atom(_inner(draw, vocabulary, depth))
    return draw(st.sampled_from([f"{factor} * {term}", f"{term} * {factor}"]))


def _quotient(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"{atom(_inner(draw, vocabulary, depth))} div {atom(draw(numbers(vocabulary)))}"


def _remainder(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"{atom(_inner(draw, vocabulary, depth))} mod {atom(draw(numbers(vocabulary)))}"


def _negated(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"-{atom(_inner(draw, vocabulary, depth))}"


def _case(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    function = draw(st.sampled_from(["abs", "min", "max"]))
    count = 1 if function == "abs" else draw(st.integers(1, 3))
    return f"{function}({', '.join(_inner(draw, vocabulary, depth) for _ in range(count))})"


def _coordinate(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    position = draw(st.sampled_from(vocabulary.positions)) if draw(st.booleans()) else _inner(draw, vocabulary, depth)
    axis = draw(st.sampled_from(vocabulary.axes))
    # A number with a dot would be read as a number of its own kind.
    return f"{position if position in vocabulary.positions else f'({position})'}.{axis}"
