"""What hovering over a word tells, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import assert_never

from ...patterns_dsl.binding.learned import signature
from ...patterns_dsl.builtin import natives, selectors
from ...patterns_dsl.parsing.declare import plain
from ...patterns_dsl.syntax import BoundPattern, BoundPlan
from ..explain.counts import Bound
from ..explain.kind import terms, together
from ..report.explanation import bound_in_words
from ..selection import title
from ..verify.result import Result, Status
from .declarations import Declaration, Sort
from .figures import LENGTH, Figures
from .symbols import Choice, Declared, File, Keyword, Native, SelectorKind, Symbol, Variable
from .words import FUNCTIONS, LENGTHS, WORDS

_LINES = 12  # of a definition, before the rest is left out

_VERDICTS = {
    Status.PROVED: "proved, for every length",
    Status.CHECKED: "checked, at the stated length",
    Status.REFUTED: "**does not hold**",
    Status.UNKNOWN: "**could not be decided**",
}


def about(symbol: Symbol) -> str:
    """What a word stands for: how it is used or defined, and what is said about it."""
    match symbol:
        case Declared(declaration, top):
            return _declared(declaration, top)
        case Native(name):
            return _page(natives.SIGNATURES[name], _line(natives.__doc__, name))
        case SelectorKind(name):
            role = selectors.KINDS[name].role.value.format(name="name")
            return _page(f"learn name = {signature(name)}", _line(selectors.__doc__, name), f"It selects {role}.")
        case Choice(selector, option, word):
            return _option(selector, option, word)
        case Variable(name, place):
            return _page(name, f"A variable of this formula, bound in line {place.line}.")
        case Keyword(word):
            return _page(*(WORDS | LENGTHS | FUNCTIONS)[word])
        case File(path, source):
            return _page(f'from "{path}"', "" if source else "There is no such file.")
        case _:
            assert_never(symbol)


def _declared(one: Declaration, top: str) -> str:
    match one.sort:
        case Sort.PATTERN | Sort.PLAN:
            return _page(one.head, one.documentation or (plain(top) if top else ""))
        case Sort.IMPORT:
            return _page(one.whole.text, f"`{one.type}` declares no rule or pattern of this name.")
        case Sort.SELECTION if one.type in selectors.KINDS:
            return _page(one.whole.text, about(SelectorKind(one.type)))
        case Sort.PARAMETER | Sort.AXIS:
            return _page(one.whole.text, f"{'A parameter' if one.sort is Sort.PARAMETER else 'An axis of the grid'}.")
        case _:
            return _page(one.whole.text, one.documentation)


def _option(selector: str, option: str, word: str) -> str:
    wanted = selectors.KINDS[selector].options[option]
    kinds = {
        "int": f"A number of at least {wanted.least}.",
        "ratio": "A ratio, such as `10%`.",
        "word": f"One of {', '.join(wanted.words)}.",
        "words": f"Some of {', '.join(wanted.words)}: `[{', '.join(wanted.words)}]`.",
    }
    default = "" if wanted.default is not None else "It must be given."
    return _page(signature(selector), f"**{word or option}**", kinds[wanted.kind], default)


def _line(text: str | None, name: str) -> str:
    """What a module's docstring says about a name: the table there is the one text about it."""
    found = re.search(rf"^ *{name}(?:\(.*?\))?  +(.+)$", text or "", re.MULTILINE)
    return "" if found is None else found[1]


def _page(code: str, *paragraphs: str) -> str:
    rows = code.splitlines()
    shown = [*rows[:_LINES], "..."] if len(rows) > _LINES else rows
    return "\n\n".join(["\n".join(["```pat", *shown, "```"]), *filter(None, paragraphs)])


# --- what was computed ---


def pattern_facts(
    pattern: BoundPattern, results: Sequence[Result | None], figures: Figures | None, cache: Bound | None
) -> str:
    """The kind, direction, costs and claims of a pattern; a cost that is None is not known yet, or there is none."""
    kind = together(term.kind for term in terms(pattern))
    rows = [f"`{title(pattern)}`: {pattern.direction}, {kind}"]
    if figures is not None:
        at_most = "" if figures.keys.exact else "at most "
        if figures.density is not None:
            rows.append(f"density: {at_most}{figures.density:.2%} at n = {LENGTH:,}")
        rows.append(f"keys per query: {bound_in_words(figures.keys)}")
    if cache is not None:
        rows.append(f"KV cache: {bound_in_words(cache)} stay live")
    return _list([*rows, *claims(pattern, results)])


def claims(subject: BoundPattern | BoundPlan, results: Sequence[Result | None]) -> Iterable[str]:
    """One line for each claim: what it says, and how the proof stands."""
    for claim, result in zip(subject.claims, results, strict=True):
        text = " ".join(claim.span.text.split())
        yield f"`{text}`: {_VERDICTS[result.status] if result else 'not decided yet'}"


def verdict(result: Result | None) -> str:
    """The verdict on one claim, with its witness."""
    if result is None:
        return "not decided yet"
    rows = [_VERDICTS[result.status]]
    if result.witness is not None:
        rows.append(f"{'witness' if result.status is Status.REFUTED else 'example'}: {result.witness}")
    rows += filter(None, [*result.explanation.splitlines(), result.warning, result.help and f"help: {result.help}"])
    return _list(rows)


def _list(rows: Iterable[str]) -> str:
    return "\n".join(f"- {row}" for row in rows)
