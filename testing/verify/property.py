"""A property: something that must hold of a pattern whatever its parameters, at every length."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ...compiler.effort import TooLong, allowance
from ...compiler.pattern import Pattern, Plan
from ...compiler.relations.isl.context import BudgetExceeded
from ...patterns_dsl.syntax import Direction, Expression
from ..arguments import bindings, lengths

MOST_PLACES = 2**26
"""What brute force may look at for one example: about a second."""


class Violated(AssertionError):
    """A property does not hold; the message says what was found and what should be."""


class Undecided(Exception):
    """An example that takes more than its budget: nothing is said about it."""


@dataclass(frozen=True)
class Example:
    """A pattern or plan, with values for its parameters, at a length; ``step`` None: the union of the steps."""

    subject: Pattern | Plan
    n: int
    nk: int | None = None
    step: int | None = None

    @property
    def pattern(self) -> Pattern:
        assert isinstance(self.subject, Pattern)
        return self.subject

    @property
    def body(self) -> Expression:
        """What is looked at. Raises IndexError for a step that is not there."""
        bound = self.pattern.bound
        return bound.union if self.step is None else bound.steps[self.step].body

    def shortened(self, n: int) -> Example:
        """The same example at a smaller length. Raises ValueError where more than a length would have to change."""
        return replace(self, n=n)

    def described(self) -> dict[str, Any]:
        """What one needs beside the pattern to come to this example again."""
        lengths = {"n": self.n} if self.nk is None else {"nq": self.n, "nk": self.nk}
        return lengths if self.step is None else {**lengths, "step": self.step}


ExampleT = TypeVar("ExampleT", bound=Example)


class Property(Protocol[ExampleT]):
    """``share``: of the examples that are asked for, how many are tried; what is slow gets fewer."""

    @property
    def name(self) -> str: ...

    @property
    def share(self) -> float: ...

    def left_out(self, subject: Pattern | Plan) -> str:
        """Why the property cannot be asked of the pattern; nothing where it can."""
        ...

    def examples(self, subject: Pattern | Plan, fixed: Collection[str]) -> SearchStrategy[ExampleT]:
        """Examples of the pattern, its parameters drawn anew but for the ``fixed`` ones."""
        ...

    def judge(self, example: ExampleT) -> None:
        """Raises Violated where the property does not hold, Undecided where that takes too long."""
        ...


@st.composite
def places(draw: DrawFn, pattern: Pattern, fixed: Collection[str], most: int) -> Example:
    """An example of the pattern: parameters, lengths, and one of its steps or their union."""
    bound = draw(bindings(pattern, fixed))
    n = draw(lengths(bound, most=most))
    nk = draw(lengths(bound, most=most)) if bound.direction is Direction.CROSS else None
    count = len(bound.bound.steps)
    step = draw(st.sampled_from([None, *range(count)])) if count > 1 else None
    return Example(bound, n, nk, step)


@contextmanager
def bounded() -> Iterator[None]:
    """Within the budgets of one example. Raises Undecided where one is used up."""
    try:
        with allowance(MOST_PLACES):
            yield
    except (TooLong, BudgetExceeded) as error:
        raise Undecided(str(error)) from None


def first_difference(found: Any, wanted: Any) -> str:
    """``query 3, key 1`` of two boolean matrices that differ."""
    query, key = (int(place[0]) for place in (found != wanted).nonzero())
    return f"query {query}, key {key}"
