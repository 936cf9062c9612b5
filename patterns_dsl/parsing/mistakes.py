"""Syntax errors in people's words: what was found, what could have stood there, and what to write instead."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from ..diagnostics import codes
from ..diagnostics.diagnostic import Diagnostic, Fix, Label
from ..diagnostics.source import Source, Span
from .spellings import BETWEEN_RELATIONS, CLAIMS, COMPARED, IN_FORMULAS, SIGNS


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
CLAIM = "a claim, such as `nonempty`, `reach in 2 steps`, `keys <= 64` or `R <= S`"

EXPECTATIONS: tuple[tuple[frozenset[str], str], ...] = tuple(
    (frozenset(terminals.split()), words)
    for terminals, words in (
        ("RULE PATTERN PLAN FROM", "`rule`, `pattern`, `plan` or `from`"),
        ("RULE PATTERN PLAN", "`rule`, `pattern` or `plan`"),
        ("REQUIRE LEARN STEP PROVE RBRACE", "`require`, `learn`, `step`, `prove` or `}`"),
        ("CAUSAL BIDIRECTIONAL CROSS", "a direction: `causal`, `bidirectional` or `cross`"),
        ("NONEMPTY REACH NOT GATED NAME LBRACE LPAR INTEGER PERCENT MINUS", CLAIM),
        ("REACH NOT CACHE", "a claim of a plan: `reach in K layers`, `not reach` or `cache <= E`"),
        ("REACH", "`reach`"),
        ("LBRACE NOT GATED NAME LPAR INTEGER PERCENT MINUS", RELATION),
        ("EXISTS NOT NAME LPAR INTEGER MINUS", "a formula, such as `j <= i`"),
        ("INTEGER NAME LPAR MINUS", "a number or a name"),
        ("STEP STEPS", "`steps`"),
        ("LAYER LAYERS", "`layers`"),
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


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do about a mistake. ``place`` is what is wrong, where that is not the token alone; ``message`` is what is
    said of it, where that is not what was expected."""

    help: str
    instead: str | None = None
    place: Span | None = None
    message: str = ""
    label: Label | None = None


def explain(source: Source, mistake: Mistake) -> Diagnostic:
    """The diagnostic of one mistake."""
    span = Span(source, mistake.start, mistake.end)
    remedy = next((known for look in LOOKS if (known := look(source, mistake)) is not None), Remedy(""))
    span = remedy.place or span
    if remedy.message:
        message = remedy.message
    elif mistake.token is None:
        unclosed = source.text.startswith('"""', mistake.start)
        message = "this documentation is not closed" if unclosed else f"unexpected {_visible(span.text)}"
    else:
        found = "the end of the file" if mistake.token == "$END" else f"`{span.text.splitlines()[0]}`"
        message = f"expected {_expected(mistake.expected - mistake.soft)}, found {found}"
    fix = None
    if remedy.instead is not None:
        fix = Fix(remedy.help if span.start == span.end else _title(remedy.instead), span, remedy.instead)
    labels = () if remedy.label is None else (remedy.label,)
    return Diagnostic(codes.SYNTAX, message, span, help=(remedy.help,) if remedy.help else (), labels=labels, fix=fix)


def _title(instead: str) -> str:
    return f"write `{instead.strip()}`" if instead.strip() else "remove it"


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


# --- remedies, the surest first ---


def _sign(source: Source, mistake: Mistake) -> Remedy | None:
    """A sign of another language."""
    for sign in SIGNS:
        back = mistake.start - 1
        if sign.half and back >= 0 and source.text.startswith(sign.sign, back):
            start = back
        elif source.text.startswith(sign.sign, mistake.start) and not (sign.half and sign.sign[0] == "="):
            start = mistake.start
        else:
            continue
        instead = sign.instead
        if start == mistake.start and "AND" in mistake.expected:
            instead = IN_FORMULAS.get(sign.sign, instead)
        whole = Span(source, start, start + len(sign.sign))
        return Remedy(sign.remedy, instead if instead is None else _apart(whole, instead), whole)
    return None


def _joint(source: Source, mistake: Mistake) -> Remedy | None:
    """What joins relations in a formula, or formulas among relations; and an interval written with a dash."""
    span = Span(source, mistake.start, mistake.end)
    if span.text in IN_FORMULAS and "AND" in mistake.expected:
        word = IN_FORMULAS[span.text]
        return Remedy(f"in a formula write `{word}`; `{span.text}` stands between relations", _apart(span, word))
    if span.text in COMPARED and "AND" in mistake.expected:
        message = f"`{span.text}` compares terms, and what stands before it here is a formula"
        return Remedy(f"of formulas A and B write {COMPARED[span.text]}", message=message)
    if span.text in BETWEEN_RELATIONS and "VBAR" in mistake.expected:
        sign = BETWEEN_RELATIONS[span.text]
        return Remedy(f"between relations write `{sign}`; `{span.text}` joins formulas", sign)
    if mistake.token == "MINUS" and "DOTS" in mistake.expected:
        return Remedy("an interval is written `0..9`", "..")
    if mistake.token == "COLON" and "EQUAL" in mistake.expected and "LESS" not in mistake.expected:
        spaced = span.start > 0 and source.text[span.start - 1].isspace()
        return Remedy("a name is given to something with `=`", "=" if spaced else " =")
    if mistake.token == "EQUAL" and "COLON" in mistake.expected:
        return Remedy("`=` gives a name to something; here write `:`", ":")
    pair = re.search(r"\{\s*(\w+\s*,\s*\w+)\s*$", source.text[: mistake.start])
    if mistake.token == "COLON" and pair:
        message = f"expected a pair or a position, found `{pair[1]}`"
        return Remedy("pairs are written `{ (i, j) : ... }`", f"({pair[1]})", Span(source, *pair.span(1)), message)
    return None


def _word(source: Source, mistake: Mistake) -> Remedy | None:
    """A word that is misspelled, or that cannot be a name."""
    span = Span(source, mistake.start, mistake.end)
    claim = re.search(r"\bprove\s+(?:not\s+)?([A-Za-z_]+)\s*$", source.text[: mistake.start])
    meant = get_close_matches(claim[1], CLAIMS, n=1) if claim else []
    if claim and meant and claim[1] not in CLAIMS:
        message = f"there is no claim `{claim[1]}`"
        return Remedy(f"did you mean `{meant[0]}`?", meant[0], Span(source, *claim.span(1)), message)
    if mistake.token in (None, "$END") or not re.fullmatch(r"[A-Za-z_]+", span.text):
        return None
    if mistake.token != "NAME" and "NAME" in mistake.expected:
        return Remedy(f"`{span.text}` is a word of the language: choose another name")
    words = [terminal.lower() for terminal in mistake.expected - mistake.soft]
    if close := get_close_matches(span.text.lower(), words, n=1):
        return Remedy(f"did you mean `{close[0]}`?", close[0])
    return None


def _bracket(source: Source, mistake: Mistake) -> Remedy | None:
    """A bracket that is not closed."""
    ended = mistake.token in ("$END", "RBRACE", "RULE", "PATTERN", "PLAN", "STEP", "PROVE", "LEARN", "REQUIRE")
    opened = _opened(source, mistake.start)
    label = None if opened is None else Label(opened, "opened here")
    if ended and "RPAR" in mistake.expected:
        return Remedy("close the parenthesis with `)`", label=label)
    if mistake.token == "$END" and "RBRACE" in mistake.expected:
        return Remedy("close the declaration with `}`", "\n}\n", label=label)
    if mistake.token in ("RULE", "PATTERN", "PLAN") and "RBRACE" in mistake.expected:
        return Remedy("close what stands before it with `}`", label=label)
    return None


def _direction(source: Source, mistake: Mistake) -> Remedy | None:
    if mistake.token in ("CAUSAL", "BIDIRECTIONAL", "CROSS") and mistake.expected == {"LBRACE"}:
        whole = Span(source, len(source.text[: mistake.start].rstrip()), mistake.end)
        message = f"expected `{{`, found `{whole.text.strip()}`"
        return Remedy("a plan has the direction of its patterns", "", whole, message)
    if {"CAUSAL", "BIDIRECTIONAL", "CROSS"} <= mistake.expected:
        return Remedy("say which keys a query may see: `causal` for the earlier ones, `bidirectional` for all")
    return None


def _letter(source: Source, mistake: Mistake) -> Remedy | None:
    """A letter or digit of another script, which may look like one of ours."""
    char = source.text[mistake.start : mistake.end]
    if mistake.token is None and char.isalnum() and not char.isascii():
        return Remedy(f"this is {unicodedata.name(char, 'a letter')}; write letters a to z, A to Z, digits 0 to 9")
    return None


LOOKS: tuple[Callable[[Source, Mistake], Remedy | None], ...] = (_sign, _joint, _bracket, _word, _direction, _letter)

_BRACKETS = re.compile(r'"""(?:.|\n)*?"""|"[^"\n]*"|#[^\n]*|[(){}]')


def _opened(source: Source, end: int) -> Span | None:
    """The innermost bracket before ``end`` that is not closed there."""
    stack: list[Span] = []
    for found in _BRACKETS.finditer(source.text, 0, end):
        if found[0] in ("(", "{"):
            stack.append(Span(source, *found.span()))
        elif found[0] in (")", "}") and stack:
            stack.pop()
    return stack[-1] if stack else None


def _apart(span: Span, word: str) -> str:
    """The replacement of a sign: a word needs space around it."""
    text = span.source.text
    before = "" if span.start and text[span.start - 1].isspace() else " "
    return f"{before}{word}{'' if text[span.end : span.end + 1].isspace() else ' '}" if word.isalpha() else word


def _visible(char: str) -> str:
    """A character that can be printed as itself, another by its number."""
    return f"`{char}`" if char.isprintable() else f"character U+{ord(char):04X}" if len(char) == 1 else repr(char)
