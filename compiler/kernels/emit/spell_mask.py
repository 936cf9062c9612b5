"""spell_mask: the mask of a tile as the text of a Triton expression, in as few instructions per pair as there are.

Truth values that are joined by ``&`` are packed into bits and out again by LLVM's vectoriser: eight instructions for
two comparisons. So a mask joins integers, of which each is at least 0 where its part holds, by their signs: ``x | y``
is at least 0 where both are, ``x & y`` where either is. The commonest mask, a band, is one comparison (``within``).
"""

from __future__ import annotations

from collections.abc import Iterator

from ...relations.integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate
from ...relations.linear import ONE, Sum, linear
from .spell import sentence, spell, spell_predicate

_Linear = tuple[Sum, int]
"""A sum of terms with factors, and a constant."""


def spell_mask(predicate: Predicate) -> str:
    """The truth value as Triton text, for tensors of ranks."""
    match predicate:
        case All((part,)) | AnyOf((part,)):
            return spell_mask(part)
        case All((Compare() as one, Compare() as other)) if (band := _band(one, other)) is not None:
            return f"within({sentence(band[0])}, {band[1]})"
        case All((_, _, *_)) | AnyOf((_, _, *_)):
            return f"({spell_slack(predicate)} >= 0)"
        case _:
            return spell_predicate(predicate)


def spell_slack(predicate: Predicate) -> str:
    """An integer that is at least 0 where the predicate holds, as Triton text."""
    match predicate:
        case All(parts) | AnyOf(parts) if len(parts) == 1:
            return spell_slack(parts[0])
        case All() | Compare("=="):
            return f"({' | '.join(_joined(All, '==', predicate)) or 'c - c'})"
        case AnyOf() | Compare("!="):
            return f"({' & '.join(_joined(AnyOf, '!=', predicate)) or 'c - c - 1'})"
        case _:
            return _text(_slack_of(predicate))


def _joined(kind: type[All | AnyOf], equality: str, predicate: Predicate) -> Iterator[str]:
    """What is joined in the manner of ``kind``, one after the other, so that it is read back as it was written. An
    (in)equality is two comparisons that are joined alike."""
    if isinstance(predicate, kind):
        for part in predicate.parts:
            yield from _joined(kind, equality, part)
    elif isinstance(predicate, Compare) and predicate.operator == equality:
        strict = equality == "!="
        yield _text(_difference(predicate.left, predicate.right, strict))
        yield _text(_difference(predicate.right, predicate.left, strict))
    else:
        yield spell_slack(predicate)


def _band(one: Compare, other: Compare) -> tuple[str, int] | None:
    """(x, last) where both together say 0 <= x <= last."""
    if not {one.operator, other.operator} <= {"<", "<=", ">", ">="}:
        return None
    (terms, constant), (others, more) = _slack_of(one), _slack_of(other)
    opposite = {term: -factor for term, factor in others.items()} == terms
    return (_text((terms, constant)), constant + more) if opposite and constant + more >= 0 else None


def _slack_of(comparison: Compare) -> _Linear:
    """What an inequality says is at least 0."""
    low, high = (comparison.left, comparison.right)
    if comparison.operator in (">", ">="):
        low, high = high, low
    return _difference(high, low, comparison.operator in ("<", ">"))


def _difference(left: Expr, right: Expr, strict: bool) -> _Linear:
    terms = linear(Binary("-", Binary("-", left, right), Const(int(strict))))
    constant = terms.pop(ONE, 0)
    return terms, constant


def _text(form: _Linear) -> str:
    """What is added first, then what is taken away."""
    terms, constant = form
    parts = [(factor, spell(term)) for term, factor in terms.items()]
    added = [text if factor == 1 else f"{factor} * {text}" for factor, text in parts if factor > 0]
    taken = [text if factor == -1 else f"{-factor} * {text}" for factor, text in parts if factor < 0]
    if constant > 0:
        added.append(str(constant))
    elif constant < 0 and added:
        taken.append(str(-constant))
    elif constant < 0:
        added.append(str(constant))
    text = " - ".join([" + ".join(added) or "0", *taken])
    return text if len(added) + len(taken) == 1 and not text.startswith("0 - ") else f"({text})"
