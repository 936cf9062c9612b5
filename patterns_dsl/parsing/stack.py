"""The stack of an LALR parser: what was read so far, built from the bottom up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from ..diagnostics.source import Span
from .build import Builder
from .limits import DEEPEST
from .tokens import Token

END = "$END"
"""The kind of the token behind the last."""


class Rule(NamedTuple):
    """A rule of the grammar, of ``size`` symbols. ``method``: of the builder; None where it passes one child on, or
    ``many`` children of another rule. ``children``: their places, and whether many are there; None for an optional one
    that is not."""

    origin: str
    size: int
    method: str | None
    many: bool
    children: tuple[tuple[int, bool] | None, ...]


class Table(NamedTuple):
    """By state and kind of a token: the state after it, or the rule that ends before it, or of one that only passes on
    what another has made, as most do, its origin. By state and origin of a rule: the state after that."""

    actions: Mapping[int, Mapping[str, int | str | Rule]]
    after: Mapping[int, Mapping[str, int]]
    passed: dict[tuple[int, str, str], tuple[int, int | Rule | None]]
    """Of a rule that was applied, by the state before it, its origin and the kind of the token behind it: the state
    after all that only pass on what it has made, a dozen for most, and what that has for the token. Found once."""


_Part: TypeAlias = tuple[int, Any, int, int, int]
"""A symbol that was read: the state after it, what was built of it, where that begins and ends, and how deep it is."""


class Unexpected(Exception):
    """A token that cannot follow what was read."""


class Stack:
    """Of the parts that are in no other yet.

    A deep tree is not built: those who build and read one recurse, and Python's stack is finite."""

    def __init__(self, table: Table, first: int, last: int, builder: Builder) -> None:
        self._table, self._last, self._builder = table, last, builder
        self._parts: list[_Part] = [(first, None, 0, 0, 0)]
        self.deep: Span | None = None
        """The first part that is deeper than the limit."""

    def feed(self, token: Token) -> None:
        """Read a token. Raises Unexpected."""
        kind, text, start, end = token
        self._parts.append((self._reduced(kind), text, start, end, 0))

    def finish(self) -> Any:
        """What was built of the whole text. Raises Unexpected."""
        self._reduced(END)
        return self._parts[-1][1]

    def accepted(self) -> frozenset[str]:
        """The kinds of tokens that can follow."""
        return frozenset(kind for kind in self._table.actions[self._parts[-1][0]] if self._accepts(kind))

    def saved(self) -> Stack:
        """The same, which does not change with this one."""
        other = Stack(self._table, 0, self._last, self._builder)
        other._parts = [(part[0], part[1][:], *part[2:]) if isinstance(part[1], list) else part for part in self._parts]
        return other

    def _reduced(self, kind: str) -> int:
        """The state after such a token; before that each rule that it ends is applied."""
        (actions, _, passed), parts = self._table, self._parts
        action = actions[parts[-1][0]].get(kind)
        while not isinstance(action, int):
            if action is None:
                raise Unexpected
            assert not isinstance(action, str)  # no token is passed on
            value, start, end, depth = self._applied(action)
            key = parts[-1][0], action.origin, kind
            if (known := passed.get(key)) is None:
                known = passed[key] = self._passed_on(*key)
            state, action = known
            parts.append((state, value, start, end, depth))
            if kind == END and state == self._last:
                return state
        return action

    def _passed_on(self, before: int, origin: str, kind: str) -> tuple[int, int | Rule | None]:
        actions, after, _ = self._table
        state = after[before][origin]
        while isinstance(action := actions[state].get(kind), str):
            state = after[before][action]
        return state, action

    def _applied(self, rule: Rule) -> tuple[Any, int, int, int]:
        """A part of those that the rule has read. No rule of several begins or ends with one that may be empty."""
        first = len(self._parts) - rule.size
        taken = self._parts[first:]
        del self._parts[first:]
        start, end = (taken[0][2], taken[-1][3]) if taken else (0, 0)
        depth = 0
        for part in taken:
            if part[4] > depth:
                depth = part[4]
        children = _children(rule, taken)
        if rule.many:
            return children, start, end, depth
        if rule.method is None:
            return children[0], start, end, depth
        span = Span(self._builder.source, start, end)
        if depth == DEEPEST and self.deep is None:
            self.deep = span
        value = getattr(self._builder, rule.method)(span, children) if self.deep is None else None
        return value, start, end, depth + 1

    def _accepts(self, kind: str) -> bool:
        (actions, after, _), states = self._table, [part[0] for part in self._parts]
        while (action := actions[states[-1]].get(kind)) is not None:
            if isinstance(action, int):
                return True
            origin, size, *_ = (action, 1) if isinstance(action, str) else action
            del states[len(states) - size :]
            states.append(after[states[-1]][origin])
            if kind == END and states[-1] == self._last:
                return True
        return False


def _children(rule: Rule, taken: list[_Part]) -> list[Any]:
    found: list[Any] = []
    for child in rule.children:
        if child is None:
            found.append(None)
            continue
        at, many = child
        value = taken[at][1]
        if not many:
            found.append(value)
        elif found:
            found += value
        else:
            found = value  # many grow by one: to copy them takes a time quadratic in their number
    return found
