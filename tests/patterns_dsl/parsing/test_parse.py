"""Text to tree: every form of the language, and no text that crashes the parser."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patternc.patterns_dsl import syntax as s
from patternc.patterns_dsl.diagnostics import codes
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.patterns_dsl.diagnostics.source import Source, Span
from patternc.patterns_dsl.parsing.parse import parse, parse_value

ANYWHERE = Span(Source("test", ""), 0, 0)  # spans stay out of equality

EXAMPLES = '''
"""Sparse Transformer, fixed factorisation (Child et al. 2019, section 4.2)."""
pattern fixed_factorized(l: int = 128, c: int = 8) causal {
    require 1 <= c and c <= l
    step within  = block(l)
    step summary = fixed(l, c) | self
    prove nonempty                        # no query without a key, for every n
    prove reach in 2 steps                # every j <= i reaches i, for every n
    prove causal <= summary @ within      # the same claim in relation algebra
}

# Every positional rule is a set of pairs; the prelude is written in the language itself.
rule local(w: int)         = { (i, j) : -w < i - j < w }           # w keys each side, self included
rule band(back: int, ahead: int) = { (i, j) : -ahead <= i - j <= back }
rule strided(s: int)       = { (i, j) : (i - j) mod s = 0 }
rule block(s: int)         = { (i, j) : i div s = j div s }
rule fixed(l: int, c: int) = { (i, j) : j mod l >= l - c }
rule self                  = { (i, j) : i = j }

pattern longformer(w: int = 256, g: set = first(1)) bidirectional { step local(w) | global(g) }

plan enwik8 {
    layers all : fixed_factorized(l = 128, c = 32) merged        # or interleaved, or heads
}
plan mixed {
    layers 0..1, 28..29            : dense
    layers 2..27 heads 0..3        : streaming(sink = 4, w = 1024)
    layers 2..27 heads 4..8        : fixed_factorized interleaved
}
'''


def module(text: str) -> s.Module:
    return parse(Source("test.pat", text))


def body(text: str) -> s.Expression:
    return module(f"rule r = {text}").rules[0].body


def formula(text: str) -> s.Formula:
    pairs = body(f"{{ (i, j) : {text} }}")
    assert isinstance(pairs, s.Pairs)
    return pairs.formula


def call(name: str, *arguments: s.Value) -> s.Call:
    return s.Call(name, tuple(s.Argument(None, value, span=ANYWHERE) for value in arguments), span=ANYWHERE)


def name(text: str) -> s.Name:
    return s.Name(text, span=ANYWHERE)


def number(value: int) -> s.Integer:
    return s.Integer(value, span=ANYWHERE)


def test_the_examples_of_the_language() -> None:
    tree = module(EXAMPLES)
    assert tree.documentation == "Sparse Transformer, fixed factorisation (Child et al. 2019, section 4.2)."
    assert [rule.name for rule in tree.rules] == ["local", "band", "strided", "block", "fixed", "self"]
    fixed, longformer = tree.patterns
    assert fixed.direction is s.Direction.CAUSAL
    assert longformer.direction is s.Direction.BIDIRECTIONAL
    assert [step.name for step in fixed.steps] == ["within", "summary"]
    assert [type(claim) for claim in fixed.claims] == [s.Nonempty, s.Reach, s.Subset]
    assert longformer.parameters[1].type is s.ParameterType.SET
    assert longformer.parameters[1].default == call("first", number(1))


def test_plans() -> None:
    enwik8, mixed = module(EXAMPLES).plans
    assert enwik8.assignments[0].layers is None
    assert enwik8.assignments[0].heads is None
    assert [assignment.layers for assignment in mixed.assignments] == [((0, 1), (28, 29)), ((2, 27),), ((2, 27),)]
    assert [assignment.heads for assignment in mixed.assignments] == [None, ((0, 3),), ((4, 8),)]
    assert [assignment.integration for assignment in mixed.assignments] == ["merged", "merged", "interleaved"]
    assert mixed.assignments[1].pattern.arguments[1].name == "w"


def test_steps_need_no_separator() -> None:
    (pattern,) = module("pattern p causal { step a = self step b = a @ a prove reach in 1 step step not b }").patterns
    assert [step.name for step in pattern.steps] == ["a", "b", None]
    assert pattern.claims == (s.Reach(number(1), span=ANYWHERE),)


def test_precedence_of_relations() -> None:
    a, b, c, d, e = (call(letter) for letter in "abcde")
    expected = s.Union(
        a,
        s.Intersection(
            b,
            s.Difference(c, s.Composition(d, s.Complement(e, span=ANYWHERE), span=ANYWHERE), span=ANYWHERE),
            span=ANYWHERE,
        ),
        span=ANYWHERE,
    )
    assert body("a | b & c - d @ not e") == expected
    assert body("not a @ b") == s.Composition(s.Complement(a, span=ANYWHERE), b, span=ANYWHERE)
    assert body("a - b - c") == s.Difference(s.Difference(a, b, span=ANYWHERE), c, span=ANYWHERE)


def test_precedence_of_formulas() -> None:
    assert formula("i = j or j < 3 and not i > 4") == formula("(i = j) or ((j < 3) and (not (i > 4)))")
    assert formula("exists k : k = i or k = j") == formula("exists k : (k = i or k = j)")
    assert formula("i = j or exists k in 0..3 : i = k and j = k") == formula(
        "i = j or (exists k in 0..3 : (i = k and j = k))"
    )


def test_precedence_of_terms() -> None:
    assert formula("i - 2 * j div 3 + 1 < -j mod 4 ^ 2") == formula("(i - ((2 * j) div 3)) + 1 < (-j) mod (4 ^ 2)")
    assert formula("i = -2^3") == formula("i = -(2^3)")


def test_chained_comparison() -> None:
    chain = formula("-w < i - j < w")
    assert isinstance(chain, s.Comparison)
    assert chain.operators == ("<", "<")


def test_sets_of_positions() -> None:
    assert body("{0, 5..9}") == s.Elements(((number(0), number(0)), (number(5), number(9))), span=ANYWHERE)
    assert body("{}") == s.Elements((), span=ANYWHERE)
    assert body("{(1 + 2)..n}") == s.Elements(
        ((s.Arithmetic("+", number(1), number(2), span=ANYWHERE), name("n")),), span=ANYWHERE
    )
    positions = body("{ j : j mod 64 = 0 }")
    assert isinstance(positions, s.Positions)
    assert formula("i in first(2) - {0} and j in s") == s.And(
        s.Membership(
            name("i"),
            s.Difference(call("first", number(2)), s.Elements(((number(0), number(0)),), span=ANYWHERE), span=ANYWHERE),
            span=ANYWHERE,
        ),
        s.Membership(name("j"), call("s"), span=ANYWHERE),
        span=ANYWHERE,
    )


def test_arguments_are_numbers_sets_or_ratios() -> None:
    assert body("f(a - b)") == call("f", s.Arithmetic("-", name("a"), name("b"), span=ANYWHERE))
    assert body("f(a - g(1))") == call("f", s.Difference(call("a"), call("g", number(1)), span=ANYWHERE))
    assert body("f(10%)") == call("f", s.Ratio(10.0, span=ANYWHERE))
    assert body("f(1_024)") == call("f", number(1024))
    assert parse_value(Source("argument g", "first(2) | s")) == s.Union(
        call("first", number(2)), call("s"), span=ANYWHERE
    )


def test_claims() -> None:
    text = """pattern p causal { step self
        prove nonempty prove causal prove causal at n = 2^3 prove reach in 3 steps prove not reach in 2 steps
        prove not reach prove not self <= causal prove causal = everything at n = 4 }"""
    claims = module(text).patterns[0].claims
    assert [type(claim) for claim in claims] == [
        s.Nonempty, s.Causal, s.Causal, s.Reach, s.Reach, s.Reach, s.Subset, s.Equal,
    ]  # fmt: skip
    assert claims[2].at == s.Lengths((("n", s.Arithmetic("^", number(2), number(3), span=ANYWHERE)),), span=ANYWHERE)
    assert [(claim.steps, claim.negated) for claim in claims if isinstance(claim, s.Reach)] == [
        (number(3), False),
        (number(2), True),
        (None, True),
    ]
    assert claims[7].at == s.Lengths((("n", number(4)),), span=ANYWHERE)


def test_cross_patterns() -> None:
    (pattern,) = module("pattern p cross { step { (i, j) : j * 2 <= i and i < nq and j < nk } }").patterns
    assert pattern.direction is s.Direction.CROSS


def test_documentation() -> None:
    tree = module('''
        """The file,
        in two lines."""
        """A rule."""
        rule r = self
        """Before."""
        pattern p causal { step r }
        pattern q causal { """Inside.""" step r }
        plan x { """A plan.""" layers all : p }
    ''')
    assert tree.documentation == "The file,\nin two lines."
    assert tree.rules[0].documentation == "A rule."
    assert [pattern.documentation for pattern in tree.patterns] == ["Before.", "Inside."]
    assert tree.plans[0].documentation == "A plan."


def test_spans_cover_the_text_of_their_node() -> None:
    tree = module("rule r = { (i, j) : i - j <  3 }\npattern p causal { step a = (r | self) prove not reach }")
    rule, (pattern,) = tree.rules[0], tree.patterns
    assert rule.span.text == "rule r = { (i, j) : i - j <  3 }"
    assert isinstance(rule.body, s.Pairs)
    assert rule.body.formula.span.text == "i - j <  3"
    assert pattern.steps[0].body.span.text == "r | self"
    assert pattern.claims[0].span.text == "prove not reach"
    assert pattern.span.line == 2


def test_words_that_are_names_too() -> None:
    tree = module(
        "rule at(heads: int, set: set) = columns(set) pattern all causal { step steps = at(heads = 3, set = {}) }"
    )
    assert tree.rules[0].name == "at"
    assert tree.patterns[0].steps[0].name == "steps"


def test_all_errors_of_a_file_are_found() -> None:
    text = """rule a = { (i, j) : i == j }
pattern b(w int) causal { step self }
pattern c causal {
    step local(
    step d = { (i, j) : i - j % 3 = 0 }
    prove reach in 2 steps
    prove wonders
}
rule e = self
rule f =
"""
    with pytest.raises(PatternError) as raised:
        module(text)
    assert [diagnostic.span.line for diagnostic in raised.value.diagnostics] == [1, 2, 5, 5, 8, 10]


@pytest.mark.parametrize("depth", [50, 5000])
def test_deep_nesting_is_refused_or_read(depth: int) -> None:
    text = "rule r = " + "not " * depth + "self"
    if depth < 100:
        module(text)
    else:
        with pytest.raises(PatternError, match="P104"):
            module(text)


WORDS = ["rule", "pattern", "plan", "step", "prove", "require", "causal", "{", "}", "(", ")", "(i, j)", ":", "=", "<=",
         "|", "-", "@", "not", "reach", "in", "steps", "2", "10%", "x", "local(3)", "layers", "all", "..", '"""', "#",
         "\n", "exists k", "mod", ";", "é", "\t", "\r\n"]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)))
def test_any_text_is_a_tree_or_a_diagnostic_inside_it(text: str) -> None:
    source = Source("fuzz.pat", text)
    outcome = outcome_of(source)
    if isinstance(outcome, s.Module):
        return
    assert outcome.diagnostics
    assert str(outcome)
    for diagnostic in outcome.diagnostics:
        assert diagnostic.span.source is source
        assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(text)


def outcome_of(source: Source) -> s.Module | PatternError:
    try:
        return parse(source)
    except PatternError as error:
        return error


@pytest.mark.parametrize("deep", ["not " * 101 + "a", " | ".join("a" * 101), " - ".join("a" * 5000), "-" * 101 + "a"])
def test_rows_without_brackets_are_deep_too(deep: str) -> None:
    with pytest.raises(PatternError) as refused:
        module(f"rule r = {deep}")
    assert [diagnostic.code for diagnostic in refused.value.diagnostics] == [codes.NESTING]


def test_a_mistake_is_named_before_depth() -> None:
    with pytest.raises(PatternError) as refused:
        module(f"rule r = {'not ' * 101} a\nrule s = |")
    assert [diagnostic.code for diagnostic in refused.value.diagnostics] == [codes.SYNTAX]
