"""The parts of a pattern with learned terms, against masks of its terms evaluated pair by pair."""

from __future__ import annotations

import numpy as np
import pytest
from expressions import pattern
from hypothesis import given, settings
from hypothesis import strategies as st

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.passes.choices import Use
from patternc.compiler.passes.separate import separate
from patternc.compiler.relations.integer import evaluate
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.patterns_dsl.syntax import Direction

LEARN = "learn hot = topk_blocks(k = 2, block = 4)  learn few = importance()  learn keys = topk_keys(k = 3)"
SELECTIONS = {
    "select(hot)": ("hot", Use.BLOCKS),
    "columns(few)": ("few", Use.COLUMNS),
    "rows(few)": ("few", Use.ROWS),
    "select(keys)": ("keys", Use.KEYS),
}
positional = st.sampled_from(
    ["self", "local(3)", "local(9)", "strided(4)", "block(5)", "columns(first(2))", "everything", "fixed(6, 2)"]
)
drawn_terms = st.one_of(
    positional.map(lambda r: (r, None, None)),
    positional.map(lambda r: (f"gated {r}", f"gated {r}", None)),
    st.tuples(st.sampled_from(sorted(SELECTIONS)), positional, st.sampled_from(["", "&", "-"]), st.booleans()).map(
        lambda drawn: _selection(*drawn)
    ),
)


def _selection(selection, relation, operator, gated):
    """(text, gate or None, the selection), a term that a relation may narrow."""
    text = f"({selection} {operator} {relation})" if operator else selection
    return (f"gated {text}", f"gated {text}", selection) if gated else (text, None, selection)


def mask(text, direction, n):
    """Of a term under every choice."""
    subject = pc.loads(f"pattern p {direction} {{ {LEARN} step {text} }}")["p"].bound.union
    return bruteforce.mask(subject, direction, n, choice="may")


def predicate(predicate, direction, n):
    i, j = np.arange(n)[:, None], np.arange(n)[None]
    found = np.broadcast_to(evaluate(predicate, {"i": i, "j": j, "n": n}, np), (n, n))
    return found & (j <= i) if direction is Direction.CAUSAL else found


@settings(max_examples=60, deadline=None)
@given(st.lists(drawn_terms, min_size=1, max_size=5), st.sampled_from([Direction.CAUSAL, Direction.BIDIRECTIONAL]))
def test_each_pair_has_the_terms_that_hold_it(drawn, direction) -> None:
    if direction is Direction.CAUSAL:
        drawn = [term for term in drawn if term[2] != "rows(few)"] or [("self", None, None)]
    bound = pc.loads(f"pattern p {direction} {{ {LEARN} step {' | '.join(text for text, *_ in drawn)} }}")["p"].bound
    parts = separate(bound.union, direction, bound.selectors)
    for n in (1, 7, 20):
        nothing = np.zeros((n, n), dtype=bool)
        always = nothing.copy()
        for text, gate, selection in drawn:
            if gate is None and selection is None:
                always |= mask(text, direction, n)
        found = nothing if parts.positional is None else bruteforce.mask(parts.positional, direction, n)
        assert (found == always).all()

        gated = [(mask(text, direction, n), gate) for text, gate, selection in drawn if gate and selection is None]
        taken = always.copy()
        for term in parts.gated:
            own = predicate(term.pairs, direction, n)
            assert (own == bruteforce.mask(term.expression, direction, n)).all()
            assert not (own & taken).any()
            taken |= own
            names = [gate for (gate,) in term.choices]
            for pair_mask, gate in gated:
                # An atom lies in all of its terms, and in no other.
                assert (pair_mask & own == (own if gate in names else nothing)).all()
        assert (taken == np.logical_or.reduce([always, *(pair_mask for pair_mask, _ in gated)])).all()

        chosen = [
            (SELECTIONS[selection], gate is not None, mask(text, direction, n) & ~always)
            for text, gate, selection in drawn
            if selection
        ]
        for one in parts.selected:
            key = (one.source, one.use), bool(one.gates)
            own = predicate(one.within, direction, n)
            assert any((own == other).all() for *kind, other in chosen if tuple(kind) == key)
            for k, term in enumerate(parts.gated):
                meets = (predicate(one.within, direction, n) & predicate(term.pairs, direction, n)).any()
                assert k in one.gated or not meets
            for k, earlier in enumerate(parts.selected[: parts.selected.index(one)]):
                meets = (predicate(one.within, direction, n) & predicate(earlier.within, direction, n)).any()
                assert k in one.after or not meets
    # Nothing that a selection could choose is lost.
    found = np.logical_or.reduce([nothing, *(predicate(one.within, direction, n) for one in parts.selected)])
    assert (found == np.logical_or.reduce([nothing, *(other for *_, other in chosen)])).all()
    ranks = [one.use.rank for one in parts.selected]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("not columns(few) | self", "a negation, a product `@` or an `or` over what `few` decides"),
        ("local(9) - select(hot)", "a negation, a product `@` or an `or` over what `hot` decides"),
        ("local(3) @ select(hot)", "a negation, a product `@` or an `or` over what `hot` decides"),
        ("select(hot) & columns(few)", "a term that `hot` and `few` decide together"),
        ("columns(few) & columns(few)", "a term that `few` decides twice"),
        ("shift(select(hot), 3)", "what `hot` decides at other places than the query and the key"),
        ("transpose(select(hot))", "what `hot` decides at other places than the query and the key"),
        ("rows(few)", "the rows of `few`, in a causal pattern,"),
        ("local(9) - random(3) | select(hot)", "a negation, a product `@` or an `or` over what a seeded table decides"),
        ("select(hot) & random(3)", "a term that `hot` and a seeded table decide together"),
        ("document(ids) | select(hot)", "what `ids` decides"),
    ],
)
def test_what_no_engine_runs_is_named(step: str, reason: str) -> None:
    bound = pc.loads(f"pattern p causal {{ {LEARN} step {step} }}")["p"].bound
    with pytest.raises(PatternError) as caught:
        separate(bound.union, bound.direction, bound.selectors)
    assert f"no engine runs {reason} yet" in str(caught.value)


def test_all_that_is_refused_comes_together() -> None:
    bound = pc.loads(f"pattern p causal {{ {LEARN} step not columns(few) | not random(2) | select(hot) }}")["p"].bound
    with pytest.raises(PatternError) as caught:
        separate(bound.union, bound.direction, bound.selectors)
    assert [each.code for each in caught.value.diagnostics] == ["P403", "P403"]


@pytest.mark.parametrize(
    ("direction", "learn", "what", "why"),
    [
        ("bidirectional", "topk(k = 2)", "a `topk` selection", "`topk` has one score per token, for columns"),
        ("causal", "topk(k = 2)", "a `topk` selection", "`topk` has one score per token, for columns"),
        ("causal", "importance()", "in a causal pattern", "there a row gathers few keys and is dear"),
    ],
)
def test_rows_are_refused_with_the_reason(direction: str, learn: str, what: str, why: str) -> None:
    bound = pc.loads(f"pattern p {direction} {{ learn kept = {learn} step self | rows(kept) }}")["p"].bound
    with pytest.raises(PatternError) as caught:
        separate(bound.union, bound.direction, bound.selectors)
    [found] = caught.value.diagnostics
    assert found.message == f"no engine runs the rows of `kept`, {what}, yet"
    assert found.help == (f"{why}: write `columns(kept)`",)


def test_levels_are_refined_once() -> None:
    text = "pattern p causal { learn d = granularity() step refine(d) | gated refine(d) }"
    bound = pc.loads(text)["p"].bound
    with pytest.raises(PatternError, match="`d` refined twice"):
        separate(bound.union, bound.direction, bound.selectors)


def test_nested_gates_open_together_and_equal_summaries_once() -> None:
    bound = pattern("gated (self | gated local(3)) | gated pooled(4) | pooled(4) | gated pooled(2)").bound
    parts = separate(bound.union, bound.direction, bound.selectors)
    assert {term.choices for term in parts.gated} == {
        (("gated (self | gated local(3))",), ("gated (self | gated local(3))", "gated local(3)")),
        (("gated (self | gated local(3))", "gated local(3)"),),
    }
    assert [(each.size, each.choices) for each in parts.summaries] == [
        (4, (("gated pooled(4)",), ())),
        (2, (("gated pooled(2)",),)),
    ]
