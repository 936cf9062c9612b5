"""spell_mask: the mask of a tile as the text of a Triton expression, in as few instructions per pair as there are.

Truth values that are joined by ``&`` are packed into bits and out again by LLVM's vectoriser: eight instructions for
two comparisons. So a mask joins integers, of which each is at least 0 where its part holds, by their signs: ``x | y``
is at least 0 where both are, ``x & y`` where either is. The commonest mask, a band, is one comparison (``within``).
"""

from __future__ import annotations

from collections.abc import Iterator

from ..relations.integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate
from .spell import sentence, spell, spell_predicate

_Linear = tuple[dict[Expr, int], int]
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
        case Compare("==") | All():
            return _joined(list(_all_of(predicate)), " | ", "(c - c)")
        case Compare("!=") | AnyOf():
            return _joined(list(_any_of(predicate)), " & ", "(c - c - 1)")
        case _:
            return _text(_at_least_0(predicate))


def _joined(parts: list[str], operator: str, none: str) -> str:
    return none if not parts else parts[0] if len(parts) == 1 else f"({operator.join(parts)})"


def _all_of(predicate: Predicate) -> Iterator[str]:
    """What is joined by ``|``, one after the other, so that it is read back as it was written."""
    match predicate:
        case All(parts):
            for part in parts:
                yield from _all_of(part)
        case Compare("==", left, right):
            yield from (_difference(left, right), _difference(right, left))
        case _:
            yield spell_slack(predicate)


def _any_of(predicate: Predicate) -> Iterator[str]:
    """What is joined by ``&``."""
    match predicate:
        case AnyOf(parts):
            for part in parts:
                yield from _any_of(part)
        case Compare("!=", left, right):
            yield from (_difference(left, right, 1), _difference(right, left, 1))
        case _:
            yield spell_slack(predicate)


def _band(one: Compare, other: Compare) -> tuple[str, int] | None:
    """(x, last) where both together say 0 <= x <= last."""
    if "==" in (one.operator, other.operator) or "!=" in (one.operator, other.operator):
        return None
    (terms, constant), (others, more) = _at_least_0(one), _at_least_0(other)
    opposite = {term: -factor for term, factor in others.items()} == terms
    return (_text((terms, constant)), constant + more) if opposite and constant + more >= 0 else None


def _at_least_0(comparison: Compare) -> _Linear:
    match comparison:
        case Compare(">=", left, right):
            return _linear(Binary("-", left, right))
        case Compare(">", left, right):
            return _linear(Binary("-", Binary("-", left, right), Const(1)))
        case Compare("<=", left, right):
            return _linear(Binary("-", right, left))
        case Compare("<", left, right):
            return _linear(Binary("-", Binary("-", right, left), Const(1)))
        case _:
            raise ValueError(f"no difference tells whether {comparison}")


def _difference(left: Expr, right: Expr, less: int = 0) -> str:
    return _text(_linear(Binary("-", Binary("-", left, right), Const(less))))


def _linear(expr: Expr) -> _Linear:
    match expr:
        case Const(value):
            return {}, value
        case Binary("+" | "-" as operator, left, right):
            sign = 1 if operator == "+" else -1
            (terms, constant), (others, more) = _linear(left), _linear(right)
            total = {term: terms.get(term, 0) + sign * others.get(term, 0) for term in (*terms, *others)}
            return {term: factor for term, factor in total.items() if factor}, constant + sign * more
        case Binary("*", Const(factor), other) | Binary("*", other, Const(factor)):
            terms, constant = _linear(other)
            return {term: factor * by for term, by in terms.items() if factor}, factor * constant
        case _:
            return {expr: 1}, 0


def _text(linear: _Linear) -> str:
    """What is added first, then what is taken away."""
    terms, constant = linear
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
