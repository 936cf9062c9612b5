"""Values for the parameters of a pattern, within what it requires, and lengths at which it shows what it is."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ..compiler.pattern import Pattern
from ..patterns_dsl.diagnostics.diagnostic import PatternError
from ..patterns_dsl.syntax import Parameter, ParameterType
from .text.formulas import sets
from .text.relations import relations
from .text.vocabulary import vocabulary

LONGEST = 300

_ATTEMPTS = 8
"""Draws of parameter values before the defaults are taken: `require` may leave few."""

_ROUND = (16, 24, 32, 64)
"""Larger values: odd ones meet tiles in so many ways that isl takes seconds to compile them."""

_BORDERS = (1, 2, 16, 17, 127, 128, 129, 255, 256, 257)
"""Lengths around the tiles of 16 and 128 that kernels work in."""


def lengths(pattern: Pattern | None = None, *, most: int = LONGEST) -> SearchStrategy[int]:
    """Sequence lengths from 1 to ``most``, more often near the borders of tiles and the multiples of the pattern's
    own numbers."""
    numbers = [value for value in pattern.arguments.values() if type(value) is int] if pattern is not None else []
    near = {factor * number + by for number in numbers for factor in (1, 2, 3) for by in (-1, 0, 1)}
    chosen = sorted(length for length in {*_BORDERS, *near} if 1 <= length <= most)
    return st.integers(1, min(most, 24)) | st.integers(1, most) | st.sampled_from(chosen)


@st.composite
def bindings(draw: DrawFn, pattern: Pattern, fixed: Collection[str] = ()) -> Pattern:
    """The pattern with other values for its parameters, small ones mostly; those in ``fixed`` keep theirs.

    A draw that `require` forbids, or that does not bind, is drawn anew; after a few the defaults are taken.
    """
    tree = next(tree for tree in pattern.module.tree.patterns if tree.name == pattern.name)
    open_parameters = [each for each in tree.parameters if each.name not in fixed]
    for _ in range(_ATTEMPTS if open_parameters else 0):
        values = {each.name: draw(_value(each, pattern)) for each in open_parameters}
        changed = {name: value for name, value in values.items() if value is not None}
        try:
            return pattern.bind(**changed)
        except PatternError:
            continue
    return pattern.bind()


def _value(parameter: Parameter, pattern: Pattern) -> SearchStrategy[object]:
    """A value as ``bind`` takes it; None leaves the parameter as it is."""
    drawn: SearchStrategy[object]
    match parameter.type:
        case ParameterType.INT:
            drawn = st.integers(0, 12) | st.sampled_from(_ROUND)
        case ParameterType.RATIO:
            drawn = st.sampled_from([0.1, 0.25, 0.5, 1.0])
        case ParameterType.SET:
            drawn = sets(vocabulary(pattern.direction), 1)
        case ParameterType.RELATION:
            drawn = relations(vocabulary(pattern.direction), 1)
    return drawn | st.none() if parameter.default is not None or parameter.name in dict(pattern.settings) else drawn
