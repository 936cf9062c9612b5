"""Relations as text: formulas, the rules of the prelude, the language's own relations, and the operators."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from .formulas import call, formulas, sets
from .terms import Writer, atom, choose, constants, numbers
from .vocabulary import CLOSED, Signature, Vocabulary


@st.composite
def relations(draw: DrawFn, vocabulary: Vocabulary = CLOSED, depth: int = 2, *, alone: bool = False) -> str:
    """A relation as text, such as ``local(4) | columns(first(1))``.

    ``alone``: it is a term of a step's union, where summaries and gates may stand too.
    """
    leaves: list[Writer] = [_plain, _ruled, _ruled, _pairs]
    leaves += [_named] * bool(vocabulary.relations) + [_called] * bool(_callable(vocabulary, alone=False))
    leaves += [_random] * vocabulary.tables + [_document] * vocabulary.learned
    leaves += [_selected] * 2 * bool(vocabulary.selections)
    branches: list[Writer] = [_combined, _combined, _combined, _lifted, _without, _mapped, _rescaled]
    if alone:
        leaves += [_called_alone] * bool(_callable(vocabulary, alone=True))
        leaves += [_pooled] * vocabulary.summaries + [_refined] * 2 * bool(vocabulary.refinements)
        branches += [_union, _union, *[_gated] * vocabulary.learned]
    return choose(draw, *leaves, *branches * depth)(draw, vocabulary, depth)


def _inner(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return atom(draw(relations(vocabulary, depth - 1)))


# --- leaves ---


def _plain(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return draw(st.sampled_from(["self", "everything", "causal"]))


def _ruled(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    one, two = draw(numbers(vocabulary)), draw(numbers(vocabulary))
    any_number = draw(constants(vocabulary))
    forms = [f"local({one})", f"strided({one})", f"block({one})", f"local({any_number})", f"local(w = {one})"]
    forms += [f"fixed({one} + {two}, {two})", f"fixed({one}, {any_number})", f"band({one}, {two})"]
    return draw(st.sampled_from([*forms, f"band(back = {any_number}, ahead = {two})"]))


def _pairs(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    query, key = draw(st.sampled_from([("i", "j"), ("q", "k"), ("j", "i")]))
    return f"{{ ({query}, {key}) : {draw(formulas(vocabulary.within(query, key), depth))} }}"


def _named(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return draw(st.sampled_from(vocabulary.relations))


def _callable(vocabulary: Vocabulary, *, alone: bool) -> list[Signature]:
    return [rule for rule in vocabulary.rules if rule.relation and rule.alone == alone]


def _called(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return call(draw, draw(st.sampled_from(_callable(vocabulary, alone=False))), vocabulary)


def _called_alone(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return call(draw, draw(st.sampled_from(_callable(vocabulary, alone=True))), vocabulary)


def _random(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    count, rest = draw(numbers(vocabulary, simple=True)), ""
    if draw(st.booleans()):
        rest = f", block = {draw(numbers(vocabulary, simple=True))}, seed = {draw(st.integers(0, 9))}"
    return f"random({count}{rest})"


def _document(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return "document(ids)"


def _selected(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"select({draw(st.sampled_from(vocabulary.selections))})"


def _pooled(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"pooled({draw(numbers(vocabulary))})"


def _refined(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"refine({draw(st.sampled_from(vocabulary.refinements))})"


# --- made of others ---


def _lifted(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    lift = draw(st.sampled_from(["columns", "rows", "axis", "global"]))
    return f"{lift}({draw(sets(vocabulary, depth - 1))})"


def _combined(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    operator = draw(st.sampled_from("|&-@" if vocabulary.hops and vocabulary.quantifiers > 0 else "|&-"))
    return f"{_inner(draw, vocabulary, depth)} {operator} {_inner(draw, vocabulary, depth)}"


def _union(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    """Terms of a step, each of which may be pooled or gated."""
    return " | ".join(atom(draw(relations(vocabulary, depth - 1, alone=True))) for _ in range(2))


def _gated(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"gated {atom(draw(relations(vocabulary, depth - 1, alone=True)))}"


def _without(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"not {_inner(draw, vocabulary, depth)}"


def _mapped(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    inner = draw(relations(vocabulary, depth - 1))
    return draw(st.sampled_from([f"transpose({inner})", f"shift({inner}, {draw(constants(vocabulary))})"]))


def _rescaled(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    inner, factor = draw(relations(vocabulary, depth - 1)), draw(numbers(vocabulary))
    return draw(st.sampled_from([f"blocks({inner}, {factor})", f"dilate({inner}, {factor})"]))
