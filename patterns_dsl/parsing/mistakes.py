"""Syntax errors in people's words: what was found, what could have stood there, and what to write instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from ..diagnostics import codes
from ..diagnostics.diagnostic import Diagnostic, Fix
from ..diagnostics.source import Source, Span


@dataclass(frozen=True, slots=True)
class Mistake:
    """Where the parser stopped: at a token, at a character that begins no token (``token`` None), or at ``$END``."""

    start: int
    end: int
    token: str | None
    expected: frozenset[str]
    soft: frozenset[str] = frozenset()
    """Of the expected words, those that can be names: they are not worth naming where a name can stand."""


RELATION = "a relation or a set, such as `local(64)` or `{ (i, j) : j <= i }`"
CLAIMS = "a claim, such as `nonempty`, `reach in 2 steps`, `keys <= 64` or `R <= S`"

EXPECTATIONS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(terminals.split()), words)
    for terminals, words in (
        ("RULE PATTERN PLAN FROM", "`rule`, `pattern`, `plan` or `from`"),
        ("RULE PATTERN PLAN", "`rule`, `pattern` or `plan`"),
        ("REQUIRE LEARN STEP PROVE RBRACE", "`require`, `learn`, `step`, `prove` or `}`"),
        ("CAUSAL BIDIRECTIONAL CROSS", "a direction: `causal`, `bidirectional` or `cross`"),
        ("NONEMPTY REACH NOT GATED NAME LBRACE LPAR INTEGER PERCENT MINUS", CLAIMS),
        ("LBRACE NOT GATED NAME LPAR INTEGER PERCENT MINUS", RELATION),
        ("EXISTS NOT NAME LPAR INTEGER MINUS", "a formula, such as `j <= i`"),
        ("INTEGER NAME LPAR MINUS", "a number or a name"),
        ("STEP STEPS", "`steps`"),
        ("INT RATIO SET RELATION", "a type: `int`, `ratio`, `set` or `relation`"),
        ("LESS AT_MOST MORE AT_LEAST EQUAL UNEQUAL", "a comparison: `<`, `<=`, `=`, `!=`, `>=` or `>`"),
        ("PLUS MINUS STAR DIV MOD CIRCUMFLEX", "an operator"),
        ("PLUS MINUS STAR DIV MOD", "an operator"),
        ("PLUS MINUS", "an operator"),
        ("VBAR", "an operator"),
        ("ALL INTEGER", "`all` or numbers of layers, such as `0..3, 7`"),
        ("LAYERS PROVE RBRACE", "`layers`, `prove` or `}`"),
        ("LAYERS RBRACE", "`layers` or `}`"),
        ("MERGED INTERLEAVED", "`merged`, `interleaved` or `heads`"),
        ("NAME", "a name"),
        ("INTEGER", "a number"),
        ("LBRACE", "`{`"),
        ("RBRACE", "`}`"),
        ("LPAR", "`(`"),
        ("RPAR", "`)`"),
        ("COMMA", "`,`"),
        ("COLON", "`:`"),
        ("AT_MOST EQUAL", "`<=` or `=`"),
        ("EQUAL", "`=`"),
        ("IN", "`in K steps`"),
        ("PATH", 'the path of a file, such as `"windows.pat"`'),
        ("DOTS", "`..`"),
    )
)
"""Groups of terminals in order; a group is named when all of it could stand there, and takes its terminals away."""

SPELLINGS: tuple[tuple[str, str, str | None], ...] = (
    ("==", "equality is written `=`", "="),
    ("&&", "write `and` in a formula, `&` between relations", None),
    ("||", "write `or` in a formula, `|` between relations", None),
    ("**", "a power is written `^`", "^"),
    ("//", "integer division is written `div`", "div"),
    ("/", "integer division is written `div`", "div"),
    ("%", "the remainder is written `mod`", "mod"),
    ("!", "negation is written `not`, inequality `!=`", None),
    ("~", "the complement is written `not`", "not"),
    (";", "statements need no separator", ""),
    ("\N{LESS-THAN OR EQUAL TO}", "write `<=`", "<="),
    ("\N{GREATER-THAN OR EQUAL TO}", "write `>=`", ">="),
    ("\N{NOT EQUAL TO}", "write `!=`", "!="),
    ("\N{THERE EXISTS}", "write `exists k : ...`", "exists"),
    ("\N{UNION}", "a union is written `|`", "|"),
    ("\N{INTERSECTION}", "an intersection is written `&`", "&"),
    ('"', 'documentation stands between `"""` and `"""`; a comment begins with `#`', None),
    (".", "an interval is written `0..9`, a ratio `10%`, a coordinate `i.row`", None),
    ("|", "in a formula write `or`; `|` stands between relations", "or"),
    ("&", "in a formula write `and`; `&` stands between relations", "and"),
    ("[", "a body and a set stand in `{` and `}`; only an option takes a list", None),
)
"""What people write, what the language has instead, and the replacement where there is one."""


def explain(source: Source, mistake: Mistake) -> Diagnostic:
    """The diagnostic of one mistake."""
    span = Span(source, mistake.start, mistake.end)
    if mistake.token is None:
        unclosed = source.text.startswith('"""', mistake.start)
        message = "this documentation is not closed" if unclosed else f"unexpected {_visible(span.text)}"
    else:
        found = "the end of the file" if mistake.token == "$END" else f"`{span.text.splitlines()[0]}`"
        message = f"expected {_expected(mistake.expected - mistake.soft)}, found {found}"
    help, fix = _remedy(source, mistake)
    return Diagnostic(codes.SYNTAX, message, span, help=help, fix=fix)


def _expected(terminals: frozenset[str]) -> str:
    left, words = terminals, list[str]()
    for group, phrase in EXPECTATIONS:
        if group <= left:
            left -= group
            if phrase not in words:
                words.append(phrase)
    match words[:3]:
        case []:
            return "something else"
        case [only]:
            return only
        case [*most, last]:
            return f"{', '.join(most)} or {last}"
    raise AssertionError


def _remedy(source: Source, mistake: Mistake) -> tuple[tuple[str, ...], Fix | None]:
    span = Span(source, mistake.start, mistake.end)
    rest = source.text[mistake.start :]
    for spelling, remedy, replacement in SPELLINGS:
        # `i == j` is read as `=`, `=`: the parser stops at the second, so look one character back too.
        for start in (mistake.start, mistake.start - 1) if len(spelling) == 2 else (mistake.start,):
            if source.text.startswith(spelling, max(0, start)):
                whole = Span(source, start, start + len(spelling))
                return (remedy,), None if replacement is None else Fix(remedy, whole, _apart(whole, replacement))
    word = re.match(r"[A-Za-z_]+", rest)
    if word and mistake.token == "NAME":
        meant = get_close_matches(word.group(), [terminal.lower() for terminal in mistake.expected], n=1)
        if meant:
            return (f"did you mean `{meant[0]}`?",), Fix(f"write `{meant[0]}`", span, meant[0])
    if mistake.token in ("$END", "RBRACE") and "RPAR" in mistake.expected:
        return ("close the parenthesis with `)`",), None
    if mistake.token == "$END" and "RBRACE" in mistake.expected:
        return ("close the declaration with `}`",), Fix("close the declaration", span, "\n}\n")
    if word and mistake.token not in (None, "NAME", "$END") and "NAME" in mistake.expected:
        return (f"`{word.group()}` is a word of the language: choose another name",), None
    if {"CAUSAL", "BIDIRECTIONAL", "CROSS"} <= mistake.expected:
        return ("say which keys a query may see: `causal` for the earlier ones, `bidirectional` for all",), None
    return (), None


def _apart(span: Span, word: str) -> str:
    """The replacement of a sign: a word needs space around it."""
    text = span.source.text
    if not word.isalpha():
        return word
    before = "" if span.start and text[span.start - 1].isspace() else " "
    return f"{before}{word}{'' if text[span.end : span.end + 1].isspace() else ' '}"


def _visible(char: str) -> str:
    """A character that can be printed as itself, another by its number."""
    return f"`{char}`" if char.isprintable() else f"character U+{ord(char):04X}" if len(char) == 1 else repr(char)
