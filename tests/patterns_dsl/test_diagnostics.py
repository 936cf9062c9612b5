"""Every code of this room: what is printed for it, and that it can occur at all."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

import pytest

from patternc.patterns_dsl.binding.bind import bind
from patternc.patterns_dsl.binding.given import Given
from patternc.patterns_dsl.binding.plans import bind_plan
from patternc.patterns_dsl.diagnostics.codes import TITLES
from patternc.patterns_dsl.diagnostics.diagnostic import Diagnostic, PatternError
from patternc.patterns_dsl.diagnostics.source import Source
from patternc.patterns_dsl.parsing.parse import parse

HEADER = "pattern p(l: int = 8, g: set = first(2)) causal {"


def diagnostics(text: str, **arguments: Given) -> tuple[Diagnostic, ...]:
    with pytest.raises(PatternError) as raised:
        use(text, arguments)
    return raised.value.diagnostics


def use(text: str, arguments: Mapping[str, Given]) -> None:
    tree = parse(Source("fixed.pat", text))
    for plan in tree.plans:
        bind_plan(tree, plan.name)
    bind(tree, "p", arguments)


def rendered(statement: str) -> str:
    return "\n\n".join(found.render() for found in diagnostics(f"{HEADER}\n    {statement}\n}}\n"))


GOLDEN = {
    "step { (i, j) : i == j }": """
        error[P101]: expected a number or a name, found `==`
         --> fixed.pat:2:23
          |
        2 |     step { (i, j) : i == j }
          |                       ^^
          = help: equality is written `=`
        """,
    "step { (i, j) : i // l = j // l }": """
        error[P101]: unexpected `//`
         --> fixed.pat:2:23
          |
        2 |     step { (i, j) : i // l = j // l }
          |                       ^^
          = help: integer division is written `div`; a comment begins with `#`
        """,
    "step l\u043ecal(4)": """
        error[P101]: unexpected `\u043e`
         --> fixed.pat:2:11
          |
        2 |     step l\u043ecal(4)
          |           ^
          = help: this is CYRILLIC SMALL LETTER O; write letters a to z, A to Z, digits 0 to 9
        """,
    "step { (i, j) : }": """
        error[P101]: expected a formula, such as `j <= i`, found `}`
         --> fixed.pat:2:21
          |
        2 |     step { (i, j) : }
          |                     ^
        """,
    "step { (i, j) : (i < 4) = (j < 4) }": """
        error[P101]: `=` compares terms, and what stands before it here is a formula
         --> fixed.pat:2:29
          |
        2 |     step { (i, j) : (i < 4) = (j < 4) }
          |                             ^
          = help: of formulas A and B write `A and B or not A and not B` where both are to hold or neither
        """,
    "step { (i, j) : j in first(2) <= i in first(2) }": """
        error[P101]: `<=` compares terms, and what stands before it here is a formula
         --> fixed.pat:2:35
          |
        2 |     step { (i, j) : j in first(2) <= i in first(2) }
          |                                   ^^
          = help: of formulas A and B write `not A or B` where A implies B
        """,
    "step step = self": """
        error[P101]: expected a relation or a set, such as `local(64)` or `{ (i, j) : j <= i }`, found `step`
         --> fixed.pat:2:10
          |
        2 |     step step = self
          |          ^^^^
          = help: `step` is a word of the language: choose another name
        """,
    "stp self": """
        error[P101]: expected `require`, `learn`, `step`, `prove` or `}`, found `stp`
         --> fixed.pat:2:5
          |
        2 |     stp self
          |     ^^^
          = help: did you mean `step`?
        """,
    "step self } plan m { layers all : fixed prove keys <= 3": """
        error[P101]: expected a claim of a plan: `reach in K layers`, `not reach` or `cache <= E`, found `keys`
         --> fixed.pat:2:51
          |
        2 |     step self } plan m { layers all : fixed prove keys <= 3
          |                                                   ^^^^
        """,
    "step self } plan m { layers all : fixed prove reach in 3 steps": """
        error[P101]: expected `layers` or an operator, found `steps`
         --> fixed.pat:2:62
          |
        2 |     step self } plan m { layers all : fixed prove reach in 3 steps
          |                                                              ^^^^^
        """,
    "step self prove reach": """
        error[P101]: expected `in K steps`, found `}`
         --> fixed.pat:3:1
          |
        3 | }
          | ^
        """,
    "step local(3) + self": """
        error[P102]: `+` is arithmetic, and not every part of this is a number
         --> fixed.pat:2:10
          |
        2 |     step local(3) + self
          |          ^^^^^^^^^^^^^^^
          = help: a union is written `|`, an intersection `&`, two hops `@`
        """,
    "step locl(3) | { (i, j) : i - j < ll }": """
        error[P201]: unknown relation or set `locl`
         --> fixed.pat:2:10
          |
        2 |     step locl(3) | { (i, j) : i - j < ll }
          |          ^^^^^^^
          = help: did you mean `local`?

        error[P201]: unknown name `ll`
         --> fixed.pat:2:39
          |
        2 |     step locl(3) | { (i, j) : i - j < ll }
          |                                       ^^
          = help: did you mean `l`?
        """,
    "step a = self step a = self": """
        error[P202]: `a` is defined twice
         --> fixed.pat:2:19
          |
        2 |     step a = self step a = self
          |     ------------- first defined here
          |                   ^^^^^^^^^^^^^
          = help: give it another name
        """,
    "step band(3)": """
        error[P204]: `band` is not told its parameter `ahead`
         --> fixed.pat:2:10
          |
        2 |     step band(3)
          |          ^^^^^^^
          = help: it takes (back: int, ahead: int)
        """,
    "step local(v = 2)": """
        error[P205]: `local` has no parameter `v`
         --> fixed.pat:2:16
          |
        2 |     step local(v = 2)
          |                ^^^^^
          = help: known here: w
        """,
    "step columns(3)": """
        error[P206]: parameter `s` is a set, and `3` is not
         --> fixed.pat:2:18
          |
        2 |     step columns(3)
          |                  ^
          = help: `{3}` is the set with this one position, `first(3)` that of the first 3
        """,
    "step g": """
        error[P207]: `g` is a set of positions, and a relation is expected here
         --> fixed.pat:2:10
          |
        2 |     step g
          |          ^
          = help: `columns(g)` lets every query attend to it, `rows(g)` lets it attend to every key
        """,
    "step rows(self)": """
        error[P207]: `self` is a relation, and a set of positions is expected here
         --> fixed.pat:2:15
          |
        2 |     step rows(self)
          |               ^^^^
          = in rule `self`: { (i, j) : i = j }
          = help: a set is written `{ j : ... }`
        """,
    "require 1 <= l and l < 3 step self": """
        error[P208]: pattern `p` requires 1 <= l and l < 3
         --> fixed.pat:2:13
          |
        2 |     require 1 <= l and l < 3 step self
          |             ^^^^^^^^^^^^^^^^
          = here l = 8
          = help: give other values, by `-p` or in Python by `bind`, or change the defaults
        """,
    "step { (i, j) : i * j < 3 }": """
        error[P210]: a product of two unknowns is not linear
         --> fixed.pat:2:21
          |
        2 |     step { (i, j) : i * j < 3 }
          |                     ^^^^^
          = help: one factor must be a number or a parameter: proofs hold for linear formulas
        """,
    # The mistake shows in the prelude, and is the caller's.
    "step strided(l - 8)": """
        error[P211]: the right side of `mod` must be a positive number; it is 0
         --> fixed.pat:2:10
          |
        2 |     step strided(l - 8)
          |          ^^^^^^^^^^^^^^
          = in rule `strided`: { (i, j) : (i - j) mod s = 0 }, where s = l - 8
          = help: divide by a number or a parameter; `require` can keep a parameter positive
        """,
    "step { (i, j) : i < nk }": """
        error[P212]: there is no `nk` in a causal pattern
         --> fixed.pat:2:25
          |
        2 |     step { (i, j) : i < nk }
          |                         ^^
          = help: write `n`, the length of the sequence
        """,
}


@pytest.mark.parametrize("statement", GOLDEN)
def test_what_is_printed(statement: str) -> None:
    assert rendered(statement) == dedent(GOLDEN[statement]).strip()


def inside(statement: str) -> str:
    return f"{HEADER} {statement} }}"


STATEMENTS = [
    ("P101", "step"),
    ("P101", "step self prove causal at m = 3"),
    ("P102", "step 3"),
    ("P102", "step l"),
    ("P102", "step local(g)"),
    ("P102", "step { (i, j) : i = self }"),
    ("P103", "step local(99999999999999999999)"),
    ("P103", "step local(2^63)"),
    ("P103", "step local(2^61 * 4)"),
    ("P104", f"step {'not ' * 200} self"),
    ("P106", "prove nonempty"),
    ("P201", "step p"),
    ("P201", "step later step later = self"),
    ("P201", "require i < 3 step self"),
    ("P202", "step { (i, i) : i = 0 }"),
    ("P203", "step { (n, j) : j = 0 }"),
    ("P203", "step { (i, j) : exists nq : j = 0 }"),
    ("P204", "step local()"),
    ("P204", "step local(1, 2)"),
    ("P204", "step self(1)"),
    ("P205", "step local(3, w = 3)"),
    ("P205", "step local(window = 3)"),
    ("P206", "step local(10%)"),
    ("P206", "step local(first(3))"),
    ("P206", "step axis(3)"),
    ("P207", "step first(3)"),
    ("P207", "step {1, 2}"),
    ("P207", "step { (i, j) : i in self @ self }"),
    ("P208", "require not l = 8 or 1 > 2 step self"),
    ("P208", "require 2 < 1 step self"),
    ("P209", "require n > 3 step self"),
    ("P209", "step self prove reach in n steps"),
    ("P209", "step { (i, j) : exists k in 0..i : k = j }"),
    ("P210", "step { (i, j) : n * i = j }"),
    ("P210", "step { (i, j) : i ^ 2 = j }"),
    ("P210", "step { (i, j) : 2 ^ i = j }"),
    ("P211", "step { (i, j) : i div 0 = j }"),
    ("P211", "step { (i, j) : i mod n = j }"),
    ("P211", "step block(-l)"),
    ("P212", "step local(nq)"),
    ("P214", "step { (i, j) : exists k in 0..10^9 : k = j }"),
    ("P216", "step self prove reach in l - 8 steps"),
    ("P216", "step self prove causal at n = 0"),
    ("P216", "step local(2^(-1))"),
    ("P102", "step { (i, j) : local(i) = 3 }"),
    ("P102", "step self prove density <= 3 at n = 4"),
    ("P201", "step select(l)"),
    ("P202", "learn l = topk(k = 3) step self"),
    ("P204", "step document(3)"),
    ("P204", "step { (i, j) : abs(i, j) < 3 }"),
    ("P204", "step blocks(self)"),
    ("P206", "step local([a, b])"),
    ("P206", "step blocks(3, 2)"),
    ("P207", "step transpose(g)"),
    ("P207", "step { (i, j) : (i, j) in g }"),
    ("P207", "step { (i, j) : i in blocks(self, 2) }"),
    ("P210", "step { (i, j) : i * max(i, 3) = j }"),
    ("P212", "step self prove causal at nq = 3, nk = 4"),
    ("P216", "step blocks(self, 0)"),
    ("P220", "learn hot = topq(k = 3) step self"),
    ("P221", "learn hot = topk_blocks() step self"),
    ("P221", "learn hot = topk_blocks(3) step self"),
    ("P221", "learn hot = topk_blocks(k = 0) step self"),
    ("P221", "learn hot = topk_blocks(k = 1) step self"),
    ("P221", "learn hot = topk_blocks(k = 3, blok = 64) step self"),
    ("P221", "learn hot = topk_blocks(k = 3, k = 4) step self"),
    ("P221", "learn hot = topk_blocks(k = 3, relax = hard) step self"),
    ("P221", "learn hot = topk_blocks(k = 3, forced = [last]) step self"),
    ("P221", "learn hot = topk_blocks(k = 10%) step self"),
    ("P221", "learn hot = importance(budget = 0%) step self"),
    ("P221", "learn hot = importance(budget = 3) step self"),
    ("P221", "learn hot = granularity(levels = [skip]) step self"),
    ("P221", "learn hot = granularity(block = 6) step self"),
    ("P221", "learn hot = granularity(block = 16, levels = [fine, coarse], budget = 6%) step self"),
    ("P221", "learn hot = granularity(levels = [fine, medium], budget = 24%) step self"),
    ("P221", "learn hot = granularity(block = 6, levels = [fine, medium]) step self"),
    ("P222", "learn hot = topk_blocks(k = 3) step hot"),
    ("P222", "learn hot = topk_blocks(k = 3) step columns(hot)"),
    ("P222", "learn hot = topk_blocks(k = 3) step refine(hot)"),
    ("P222", "learn hot = importance() step select(hot)"),
    ("P223", "step self @ gated self"),
    ("P223", "step pooled(2) & local(3)"),
    ("P223", "step not gated self"),
    ("P224", "step { (i, j) : i.row = j.row }"),
    ("P225", "step self prove reach in 2 steps prove not reach in 2 steps"),
    ("P225", "step self prove not reach prove reach in 2 steps"),
    ("P226", "step self prove not reach in any layer order"),
    ("P226", "step self prove density <= 10%"),
]

SELF = inside("step self")

FILES = [
    ("P101", "pattern p { step self }"),
    ("P101", '"""'),
    ("P105", f'"""The file.""" {SELF} """Nothing follows."""'),
    ("P105", '"""a""" """b""" """c""" rule r = self'),
    ("P106", f"{SELF} plan x {{ }}"),
    ("P202", f"rule r = self rule r = self {SELF}"),
    ("P203", f"rule n = self {SELF}"),
    ("P212", "pattern p cross { step { (i, j) : i < n } }"),
    ("P212", "pattern p cross { step columns(last(1)) }"),
    ("P213", f"rule a = b rule b = not a {inside('step a')}"),
    ("P213", f"rule a(s: set) = columns({{ j : j in a(s) }}) {inside('step a(g)')}"),
    ("P214", f"{SELF} plan x {{ layers 3..2 : p }}"),
    ("P215", f"{SELF} plan x {{ layers 3 : q }}"),
    ("P215", "pattern q causal { step self }"),
    ("P216", "pattern p(d: ratio = 200%) causal { step self }"),
    ("P217", "pattern p cross { step local(2) @ local(2) }"),
    ("P217", "pattern p cross { step local(2) prove reach in 2 steps }"),
    ("P217", "pattern p cross { step local(2) prove symmetric }"),
    ("P216", f"{SELF} plan x {{ layers 0..99999 : p }}"),
    ("P216", f"{SELF} plan x {{ layers 0..3 : p prove reach in 5 layers }}"),
    ("P221", "pattern p cross { learn hot = topk_keys(k = 3, forced = [diagonal]) step select(hot) }"),
    ("P224", "pattern p causal grid(y, x = 8) { step { (i, j) : i.z = j.x } }"),
    ("P224", "pattern p causal grid(y = 3, x = 8) { step self }"),
    ("P224", "pattern p causal grid(y, x) { step self }"),
    ("P216", "pattern p causal grid(y, x = 0) { step self }"),
    ("P202", "pattern p causal grid(y, y = 3) { step self }"),
    ("P202", "pattern p(r: relation = self) causal { step r = r | local(2) prove r <= self }"),
    ("P226", "pattern p bidirectional { step self prove cache <= 3 }"),
    ("P226", f"{SELF} plan x {{ layers all : p prove cache <= 3 }}"),
    ("P227", f"{SELF} plan x {{ layers 0..3 : p layers 2 heads 1 : p }}"),
    ("P228", f"pattern q bidirectional {{ step self }} {SELF} plan x {{ layers 0 : p layers 1 : q prove reach }}"),
]

CASES = [*((code, inside(statement)) for code, statement in STATEMENTS), *FILES]


ELSEWHERE = {"P107", "P108", "P218", "P219"}
"""What files and imports can be refused for: tests/patterns_dsl/parsing/test_read.py, binding/test_link.py."""


@pytest.mark.parametrize("follows", ["pattern q causal { step self }", "rule r = self", "plan q { layers all : p }"])
def test_a_declaration_that_is_open_at_the_next(follows: str) -> None:
    [found] = diagnostics(f"pattern p causal {{\n    step self\n    prove causal\n{follows}\n")
    assert found.help == ("close what stands before it with `}`",)
    assert [label.text for label in found.labels] == ["opened here"]


def test_every_code_of_this_room_has_a_case() -> None:
    assert {code for code, _ in CASES} | ELSEWHERE == {code for code in TITLES if code < "P3"}


@pytest.mark.parametrize(("code", "text"), CASES)
def test_every_code_occurs(code: str, text: str) -> None:
    assert {found.code for found in diagnostics(text)} == {code}


def test_all_findings_of_a_phase_come_together() -> None:
    text = inside("step locl(3) step { (i, j) : i * j = n mod 0 } step columns(self) prove reach in 0 steps")
    assert [found.code for found in diagnostics(text)] == ["P201", "P210", "P211", "P207", "P216"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"l": "first(3)"}, "P206"),
        ({"l": True}, "P206"),
        ({"l": 0.5}, "P206"),
        ({"l": 2**63}, "P206"),
        ({"l": 7.5}, "P216"),
        ({"l": "n"}, "P209"),
        ({"l": "7 +"}, "P101"),
        ({"g": 3}, "P206"),
        ({"g": "self"}, "P207"),
        ({"k": 3}, "P205"),
    ],
)
def test_arguments_from_outside(arguments: dict[str, Given], code: str) -> None:
    assert [found.code for found in diagnostics(inside("step axis(g)"), **arguments)] == [code]


def test_a_finding_in_an_argument_quotes_the_argument() -> None:
    (found,) = diagnostics(inside("step axis(g)"), g="first(2) | lst(3)")
    assert found.span.source.name == "argument g"
    assert found.span.text == "lst(3)"
