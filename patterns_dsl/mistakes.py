"""Syntax errors in people's words: what was found, what could have stood there, and what to write instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

from . import codes
from .diagnostic import Diagnostic
from .source import Source, Span


@dataclass(frozen=True, slots=True)
class Mistake:
    """Where the parser stopped: at a token, at a character that begins no token (``token`` None), or at ``$END``."""

    start: int
    end: int
    token: str | None
    expected: frozenset[str]


RELATION = "a relation or a set, such as `local(64)` or `{ (i, j) : j <= i }`"
CLAIMS = "a claim: `nonempty`, `causal`, `reach in K steps`, `not reach`, `R <= S` or `R = S`"

SOFT = frozenset(["CAUSAL", "LAYERS", "HEADS", "ALL", "MERGED", "INTERLEAVED", "INT", "RATIO", "SET", "AT", "STEPS"])
"""Words that can be names; they are not worth naming where a name can stand."""

EXPECTATIONS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(terminals.split()), words)
    for terminals, words in (
        ("RULE PATTERN PLAN", "`rule`, `pattern` or `plan`"),
        ("REQUIRE STEP PROVE RBRACE", "`require`, `step`, `prove` or `}`"),
        ("CAUSAL BIDIRECTIONAL CROSS", "a direction: `causal`, `bidirectional` or `cross`"),
        ("NONEMPTY REACH NOT NAME LBRACE LPAR INTEGER PERCENT MINUS", CLAIMS),
        ("LBRACE NOT NAME LPAR INTEGER PERCENT MINUS", RELATION),
        ("EXISTS NOT NAME LPAR INTEGER MINUS", "a formula, such as `j <= i`"),
        ("INTEGER NAME LPAR MINUS", "a number or a name"),
        ("STEP STEPS", "`steps`"),
        ("INT RATIO SET", "a type: `int`, `ratio` or `set`"),
        ("LESS AT_MOST MORE AT_LEAST EQUAL UNEQUAL", "a comparison: `<`, `<=`, `=`, `!=`, `>=` or `>`"),
        ("PLUS MINUS STAR DIV MOD CIRCUMFLEX", "an operator"),
        ("PLUS MINUS STAR DIV MOD", "an operator"),
        ("PLUS MINUS", "an operator"),
        ("VBAR", "an operator"),
        ("ALL INTEGER", "`all` or numbers of layers, such as `0..3, 7`"),
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
        ("DOTS", "`..`"),
    )
)
"""Groups of terminals in order; a group is named when all of it could stand there, and takes its terminals away."""

SPELLINGS: tuple[tuple[str, str], ...] = (
    ("==", "equality is written `=`"),
    ("&&", "write `and` in a formula, `&` between relations"),
    ("||", "write `or` in a formula, `|` between relations"),
    ("**", "a power is written `^`"),
    ("//", "integer division is written `div`"),
    ("/", "integer division is written `div`"),
    ("%", "the remainder is written `mod`"),
    ("!", "negation is written `not`, inequality `!=`"),
    ("~", "the complement is written `not`"),
    (";", "statements need no separator"),
    ("≤", "write `<=`"),
    ("≥", "write `>=`"),
    ("≠", "write `!=`"),
    ("\N{THERE EXISTS}", "write `exists k : ...`"),
    ("\N{UNION}", "a union is written `|`"),
    ("\N{INTERSECTION}", "an intersection is written `&`"),
    ('"', 'documentation stands between `"""` and `"""`; a comment begins with `#`'),
    (".", "an interval is written `0..9`, a ratio `10%`"),
    ("|", "in a formula write `or`; `|` stands between relations"),
    ("&", "in a formula write `and`; `&` stands between relations"),
    ("[", "there are no square brackets: a body and a set stand in `{` and `}`"),
)

UNSUPPORTED = {
    "learn": "learned selectors are not part of the language yet",
    "select": "learned selectors are not part of the language yet",
    "refine": "learned selectors are not part of the language yet",
    "window": "a sliding window is `local(w)`",
    "density": "claims about density are not part of the language yet",
}

STATEMENT = re.compile(r"^[ \t]*(?:(?P<word>require|step|prove|layers|rule|pattern|plan)\b|\})", re.MULTILINE)
DECLARATION = ("rule", "pattern", "plan")


def explain(source: Source, mistake: Mistake) -> Diagnostic:
    """The diagnostic of one mistake."""
    span = Span(source, mistake.start, mistake.end)
    if mistake.token is None:
        unclosed = source.text.startswith('"""', mistake.start)
        message = "this documentation is not closed" if unclosed else f"unexpected {_visible(span.text)}"
    else:
        found = "the end of the file" if mistake.token == "$END" else f"`{span.text.splitlines()[0]}`"
        message = f"expected {_expected(mistake.expected)}, found {found}"
    return Diagnostic(codes.SYNTAX, message, span, help=_remedy(source, mistake))


def _expected(terminals: frozenset[str]) -> str:
    left, words = terminals - SOFT if "NAME" in terminals else terminals, list[str]()
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


def _remedy(source: Source, mistake: Mistake) -> tuple[str, ...]:
    rest = source.text[mistake.start :]
    # `i == j` is read as `=`, `=`: the parser stops at the second, so look one character back too.
    before = source.text[max(0, mistake.start - 1) :]
    for spelling, remedy in SPELLINGS:
        if rest.startswith(spelling) or (len(spelling) == 2 and before.startswith(spelling)):
            return (remedy,)
    word = re.match(r"[A-Za-z_]+", rest)
    if word and word.group() in UNSUPPORTED:
        return (UNSUPPORTED[word.group()],)
    if word and mistake.token == "NAME":
        meant = get_close_matches(word.group(), [terminal.lower() for terminal in mistake.expected], n=1)
        if meant:
            return (f"did you mean `{meant[0]}`?",)
    if mistake.token in ("$END", "RBRACE") and "RPAR" in mistake.expected:
        return ("close the parenthesis with `)`",)
    if mistake.token == "$END" and "RBRACE" in mistake.expected:
        return ("close the declaration with `}`",)
    if word and mistake.token not in (None, "NAME", "$END") and "NAME" in mistake.expected:
        return (f"`{word.group()}` is a word of the language: choose another name",)
    if {"CAUSAL", "BIDIRECTIONAL", "CROSS"} <= mistake.expected:
        return ("say which keys a query may see: `causal` for the earlier ones, `bidirectional` for all",)
    return ()


def _visible(char: str) -> str:
    """A character that can be printed as itself, another by its number."""
    return f"`{char}`" if char.isprintable() else f"character U+{ord(char):04X}" if len(char) == 1 else repr(char)


def blank_out(text: str, offset: int) -> str:
    """The text with the statement around ``offset`` replaced by spaces, so that every other offset stays.

    An error in a header takes the whole declaration along: its statements mean nothing without it.
    """
    marks = list(STATEMENT.finditer(text))
    before = [mark for mark in marks if mark.start() < offset and mark["word"] and mark.start("word") < offset]
    start = before[-1].start() if before else 0
    header = not before or before[-1]["word"] in DECLARATION
    following = [mark.start() for mark in marks if mark.start() > start and mark.end() > offset]
    ends = [mark.start() for mark in marks if mark.start() in following and (not header or mark["word"] in DECLARATION)]
    end = min(ends, default=len(text))
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]
