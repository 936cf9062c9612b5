"""Random rule expressions, written in the language: formulas, prelude rules and operators."""

from __future__ import annotations

from hypothesis import strategies as st

import patternc as pc
from patternc.patterns_dsl.syntax import Direction

_small = st.integers(1, 9)

_terms = st.one_of(
    st.sampled_from(["i", "j", "i - j", "i + j", "2 * i - j"]),
    st.builds(lambda m: f"(i - j) mod {m}", _small),
    st.builds(lambda v, m: f"{v} mod {m}", st.sampled_from("ij"), _small),
    st.builds(lambda v, m: f"{v} div {m}", st.sampled_from("ij"), _small),
)
_comparisons = st.one_of(
    st.builds(
        lambda term, op, k: f"{term} {op} {k}",
        _terms,
        st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
        st.integers(-3, 12),
    ),
    st.builds(lambda m: f"i div {m} = j div {m}", _small),
    st.builds(lambda a, b: f"-{a} < i - j <= {b}", _small, _small),
    st.builds(lambda k, m: f"exists k : i - j = {m} * k and k < {k}", _small, _small),
)
_formulas = st.recursive(
    _comparisons,
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"({a}) and ({b})", inner, inner),
        st.builds(lambda a, b: f"({a}) or ({b})", inner, inner),
        st.builds(lambda a: f"not ({a})", inner),
    ),
    max_leaves=3,
)
_rules = st.one_of(
    st.builds(lambda f: f"{{ (i, j) : {f} }}", _formulas),
    st.builds(lambda w: f"local({w})", _small),
    st.builds(lambda s: f"strided({s})", _small),
    st.builds(lambda s: f"block({s})", _small),
    st.builds(lambda rest, c: f"fixed({rest + c}, {c})", _small, _small),
    st.builds(lambda k: f"columns(first({k}))", _small),
    st.builds(lambda k: f"rows({{0, {k}..{k + 2}}})", _small),
    st.just("self"),
)
expressions = st.recursive(
    _rules,
    lambda inner: st.one_of(
        st.builds(lambda a, b, op: f"({a} {op} {b})", inner, inner, st.sampled_from(["|", "&", "-", "@"])),
        st.builds(lambda a: f"not {a}", inner),
    ),
    max_leaves=3,
)
directions = st.sampled_from([Direction.CAUSAL, Direction.BIDIRECTIONAL])


def pattern(expression: str, direction: Direction = Direction.CAUSAL, claims: str = "") -> pc.Pattern:
    """A pattern with one step."""
    return pc.loads(f"pattern drawn {direction} {{ step {expression} {claims} }}")["drawn"]
