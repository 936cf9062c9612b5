"""Formulas and sets of positions as text."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from ...patterns_dsl.syntax import ParameterType
from .terms import Writer, atom, choose, constants, numbers, terms
from .vocabulary import CLOSED, PAIR, Signature, Vocabulary

OPERATORS = ("<", "<=", "=", "!=", ">=", ">")


@st.composite
def formulas(draw: DrawFn, vocabulary: Vocabulary = PAIR, depth: int = 2) -> str:
    """A formula as text, such as ``i - j < 4 and not j in first(2)``."""
    leaves: list[Writer] = [_comparison, _comparison, _between, _same_block]
    branches: list[Writer] = [_and, _and, _or, _or, _not, _in_set, _some_value]
    branches += [_related] * vocabulary.hops
    branches += [_some_position] * (vocabulary.quantifiers > 0)
    return choose(draw, *leaves, *branches * depth)(draw, vocabulary, depth)


def _comparison(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    left = draw(terms(vocabulary, depth, cases=True))
    right = draw(st.one_of(constants(vocabulary), terms(vocabulary, min(depth, 1), cases=False)))
    return f"{left} {draw(st.sampled_from(OPERATORS))} {right}"


def _between(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    sides = [draw(terms(vocabulary, min(depth, 1), cases=False)) for _ in range(3)]
    first, second = (draw(st.sampled_from(OPERATORS)) for _ in range(2))
    return f"{sides[0]} {first} {sides[1]} {second} {sides[2]}"


def _same_block(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    """What block and strided relations are made of: random terms seldom meet."""
    size = atom(draw(numbers(vocabulary)))
    left, right = (draw(terms(vocabulary, 0, cases=False)) for _ in range(2))
    forms = [f"({left} - {atom(right)}) mod {size} = 0", f"{atom(left)} div {size} = {atom(right)} div {size}"]
    return draw(st.sampled_from([*forms, f"{atom(left)} mod {size} >= {draw(constants(vocabulary))}"]))


def _inner(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"({draw(formulas(vocabulary, depth - 1))})"


def _and(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"{_inner(draw, vocabulary, depth)} and {_inner(draw, vocabulary, depth)}"


def _or(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"{_inner(draw, vocabulary, depth)} or {_inner(draw, vocabulary, depth)}"


def _not(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"not {_inner(draw, vocabulary, depth)}"


def _some_value(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    """``exists k in 0..3 : i - j = 2^k``: written out by the compiler, so that few values keep it small."""
    name, low = draw(st.sampled_from("km")), draw(st.integers(-1, 3))
    high = low + draw(st.integers(-1, 3))
    inside = draw(formulas(vocabulary.within(name), depth - 1))
    distance = f"{draw(terms(vocabulary, 0, cases=False))} - {draw(terms(vocabulary, 0, cases=False))} = 2^{name}"
    body = draw(st.sampled_from([inside, distance])) if low >= 0 else inside
    return f"exists {name} in {low}..{high} : {body}"


def _some_position(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    name = draw(st.sampled_from("kl"))
    inner = replace(vocabulary.within(name), quantifiers=vocabulary.quantifiers - 1)
    return f"exists {name} : {draw(formulas(inner, depth - 1))}"


def _in_set(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"{draw(terms(vocabulary, min(depth, 1), cases=False))} in {draw(sets(vocabulary, depth - 1))}"


def _related(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    from .relations import relations  # a formula may hold a relation, as a relation holds formulas

    pair = ", ".join(draw(terms(vocabulary, 1, cases=False)) for _ in range(2))
    inner = replace(vocabulary, quantifiers=vocabulary.quantifiers - 1)
    return f"({pair}) in {draw(relations(inner, min(depth - 1, max(0, inner.quantifiers))))}"


# --- sets of positions ---


@st.composite
def sets(draw: DrawFn, vocabulary: Vocabulary = CLOSED, depth: int = 1) -> str:
    """A set of positions as text, such as ``first(2) | { t : t mod 8 = 7 }``."""
    called = [rule for rule in vocabulary.rules if not rule.relation]
    leaves: list[Writer] = [_first, _elements]
    leaves += [_last] * ("n" in vocabulary.lengths) + [_named] * bool(vocabulary.sets) + [_called] * bool(called)
    branches: list[Writer] = [_positions, _positions, _united, _without]
    return choose(draw, *leaves, *branches * depth)(draw, vocabulary, depth)


def _first(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"first({_argument(draw, vocabulary)})"


def _last(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"last({_argument(draw, vocabulary)})"


def _argument(draw: DrawFn, vocabulary: Vocabulary) -> str:
    """A number for a parameter that may be any: mostly a known one. Arguments have no coordinates in them."""
    plain = replace(vocabulary, axes=())
    return draw(st.one_of(numbers(vocabulary), constants(vocabulary), terms(plain, 1, cases=False)))


def _elements(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    intervals = []
    for _ in range(draw(st.integers(0, 3))):
        low = draw(st.one_of(st.integers(0, 12).map(str), terms(vocabulary, 1, cases=False)))
        length = draw(st.integers(0, 4))
        high = str(int(low) + length) if low.isdecimal() else f"{low} + {length}"
        intervals.append(low if length == 0 else f"{low}..{high}")
    return "{" + ", ".join(intervals) + "}"


def _named(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return draw(st.sampled_from(vocabulary.sets))


def _called(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return call(draw, draw(st.sampled_from([rule for rule in vocabulary.rules if not rule.relation])), vocabulary)


def _positions(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    name = draw(st.sampled_from("tu"))
    return f"{{ {name} : {draw(formulas(vocabulary.within(name), depth - 1))} }}"


def _united(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    left, right = (atom(draw(sets(vocabulary, depth - 1))) for _ in range(2))
    return f"{left} {draw(st.sampled_from('|&-'))} {right}"


def _without(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"not {atom(draw(sets(vocabulary, depth - 1)))}"


def call(draw: DrawFn, rule: Signature, vocabulary: Vocabulary) -> str:
    """A call of a rule with arguments of the right types, by place and then by name."""
    from .relations import relations

    texts = []
    for parameter in rule.parameters:
        match parameter.type:
            case ParameterType.INT if parameter.free:
                texts.append(_argument(draw, vocabulary))
            case ParameterType.INT:
                texts.append(draw(numbers(vocabulary)))
            case ParameterType.RATIO:
                texts.append(draw(st.sampled_from([*vocabulary.ratios, "10%", "50%"])))
            case ParameterType.SET:
                texts.append(draw(sets(replace(vocabulary, rules=()), 0)))
            case ParameterType.RELATION:
                texts.append(draw(relations(replace(vocabulary, rules=()), 0)))
    by_name = draw(st.integers(0, len(texts)))
    named = (f"{each.name} = {text}" for each, text in zip(rule.parameters[by_name:], texts[by_name:], strict=True))
    arguments = ", ".join(chain(texts[:by_name], named))
    return f"{rule.name}({arguments})" if arguments or draw(st.booleans()) else rule.name
