"""What people write because other languages do, and what this one has instead."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spelling:
    """A sign or word of other languages. ``instead`` replaces it, where one thing always does; ``half``: its first
    character is read as something of ours, and the parser stops at the second."""

    sign: str
    remedy: str
    instead: str | None = None
    half: bool = False


SIGNS: tuple[Spelling, ...] = (
    Spelling("==", "equality is written `=`", "=", half=True),
    Spelling("=<", "write `<=`", "<=", half=True),
    Spelling("=>", "write `>=`", ">=", half=True),
    Spelling("<>", "inequality is written `!=`", "!=", half=True),
    Spelling("&&", "write `and` in a formula, `&` between relations", "&", half=True),
    Spelling("||", "write `or` in a formula, `|` between relations", "|", half=True),
    Spelling("**", "a power is written `^`", "^", half=True),
    Spelling("//", "integer division is written `div`; a comment begins with `#`", "div"),
    Spelling("/", "integer division is written `div`", "div"),
    Spelling("%", "the remainder is written `mod`", "mod"),
    Spelling("!", "negation is written `not`, inequality `!=`", "not"),
    Spelling("~", "the complement is written `not`", "not"),
    Spelling(";", "statements need no separator", ""),
    Spelling(":=", "a name is given to something with `=`", "="),
    Spelling("\N{LESS-THAN OR EQUAL TO}", "write `<=`", "<="),
    Spelling("\N{GREATER-THAN OR EQUAL TO}", "write `>=`", ">="),
    Spelling("\N{NOT EQUAL TO}", "write `!=`", "!="),
    Spelling("\N{LOGICAL AND}", "write `and`", "and"),
    Spelling("\N{LOGICAL OR}", "write `or`", "or"),
    Spelling("\N{NOT SIGN}", "write `not`", "not"),
    Spelling("\N{THERE EXISTS}", "write `exists k : ...`", "exists"),
    Spelling("\N{ELEMENT OF}", "write `in`", "in"),
    Spelling("\N{UNION}", "a union is written `|`", "|"),
    Spelling("\N{INTERSECTION}", "an intersection is written `&`", "&"),
    Spelling("\N{MINUS SIGN}", "write `-`", "-"),
    Spelling('"', 'documentation stands between `"""` and `"""`; a comment begins with `#`'),
    Spelling("'", 'documentation stands between `"""` and `"""`; a comment begins with `#`'),
    Spelling(".", "an interval is written `0..9`, a ratio `10%`, a coordinate `i.row`"),
    Spelling("[", "a body and a set stand in `{` and `}`; only an option takes a list"),
)

IN_FORMULAS = {"|": "or", "||": "or", "&": "and", "&&": "and"}
"""Signs between relations, and the words that join formulas."""

COMPARED = {
    "=": "`A and B or not A and not B` where both are to hold or neither",
    "!=": "`A and not B or not A and B` where one of them is to hold",
    **dict.fromkeys(("<", "<=", ">", ">="), "`not A or B` where A implies B"),
}
"""Comparisons, and what people mean by them between formulas."""

BETWEEN_RELATIONS = {"or": "|", "and": "&"}

CLAIMS = ("nonempty", "causal", "symmetric", "reach", "disjoint", "keys", "cache", "density")
"""The first words of claims. Some are names elsewhere, so a misspelled one is read as the name of a relation."""
