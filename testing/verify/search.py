"""search: try a property on random examples, and shrink the first that fails."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.configuration import set_hypothesis_home_dir, storage_directory
from hypothesis.errors import Flaky

from ...compiler.pattern import Pattern, Plan
from ...compiler.selection import title
from ...patterns_dsl.diagnostics.diagnostic import PatternError
from ...runtime.errors import in_a_line
from .property import Example, Property, Undecided, Violated

FunctionT = TypeVar("FunctionT", bound=Callable[..., None])

_CRASHES = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    MemoryError,
    PatternError,
)
"""What code raises that meets what it was not made for."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The smallest example that was found to fail, and a file that is as small as it can be and still fails."""

    message: str
    example: Example
    text: str = ""

    @property
    def subject(self) -> str:
        found = self.example.subject
        return title(found.bound) if isinstance(found, Pattern) else f"plan {found.name}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was tried of one property: so many examples, of which some took too long to decide. ``hurried``: fewer than
    were asked for, because the time was up."""

    name: str
    examples: int = 0
    undecided: int = 0
    hurried: bool = False
    left_out: str = ""
    failure: Failure | None = None


def tries(examples: int, seed: int) -> Callable[[FunctionT], FunctionT]:
    """How a test is tried here: the same examples for the same seed, nothing kept, nothing printed, the first failure
    shrunk."""
    quiet = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    return lambda test: hypothesis.seed(seed)(quiet(test))


def search(
    prop: Property[Any],
    subject: Pattern | Plan,
    *,
    fixed: Collection[str],
    examples: int,
    seed: int,
    seconds: float = math.inf,
) -> Outcome:
    """The outcome for a pattern or plan; the same for the same seed, unless the time is up before the examples are
    through. Parameters in ``fixed`` keep their values."""
    if reason := prop.left_out(subject):
        return Outcome(prop.name, left_out=reason)
    tried, undecided, hurried, end = 0, 0, False, monotonic() + seconds
    failures: list[Failure] = []

    @tries(max(1, round(examples * prop.share)), seed)
    @given(prop.examples(subject, fixed))
    def run(example: Example) -> None:
        nonlocal tried, undecided, hurried
        if tried and not failures and monotonic() > end:
            hurried = True
            return
        tried += not failures
        try:
            judge(prop, example)
        except Undecided:
            undecided += not failures
        except Violated as error:
            failures.append(Failure(str(error), example))
            raise

    with nothing_written():
        try:
            run()
        except Violated:
            pass  # the last failure is the smallest: it is tried once more at the end
        except Flaky as error:
            failures.append(Failure(f"it fails once, and not again: {error}", failures[-1].example))
    return Outcome(prop.name, tried, undecided, hurried, failure=failures[-1] if failures else None)


def judge(prop: Property[Any], example: Example) -> None:
    """Raises Violated where the property does not hold or something breaks, Undecided where it takes too long."""
    try:
        prop.judge(example)
    except _CRASHES as error:
        raise Violated(in_a_line(error)) from error


@contextmanager
def nothing_written() -> Iterator[None]:
    """Without a folder `.hypothesis` where the user happens to be."""
    before = storage_directory(intent_to_write=False).home_directory
    with tempfile.TemporaryDirectory() as folder:
        set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            set_hypothesis_home_dir(before)
