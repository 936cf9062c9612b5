"""Rules, parameters and patterns as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from ...patterns_dsl.syntax import ParameterType
from .claims import claims as claim_texts
from .formulas import formulas, sets
from .relations import relations
from .selections import selections
from .terms import numbers, repeated
from .vocabulary import CLOSED, Parameter, Signature, Vocabulary

_INT, _RATIO, _SET, _RELATION = ParameterType.INT, ParameterType.RATIO, ParameterType.SET, ParameterType.RELATION


# --- rules ---


@st.composite
def rules(draw: DrawFn, vocabulary: Vocabulary = CLOSED, name: str = "r") -> str:
    """The declaration of a rule as text, such as ``rule r(m: int) = strided(m) & local(8)``."""
    text, _ = draw(declared_rules(vocabulary, name))
    return text


@st.composite
def declared_rules(draw: DrawFn, vocabulary: Vocabulary, name: str) -> tuple[str, Signature]:
    """A rule and how it is called; it may call the rules that are known already."""
    choice = st.sampled_from([Parameter("m", _INT), Parameter("w", _INT, free=True), Parameter("s", _SET)])
    relation_valued = st.just(Parameter("r", _RELATION))
    parameters = tuple(draw(st.lists(choice | relation_valued, max_size=2, unique=True)))
    inner, relation = vocabulary.having(*parameters), draw(st.integers(0, 2)) < 2
    alone = relation and draw(st.integers(0, 3)) == 3
    body = draw(relations(inner, 2, alone=alone) if relation else sets(inner, 2))
    shown = [f"{each.name}: {each.type}{_default(draw, each, vocabulary)}" for each in parameters]
    header = f"{name}({', '.join(shown)})" if shown else name
    documentation = f'"""A rule called {name}."""\n' if draw(st.integers(0, 3)) == 3 else ""
    return f"{documentation}rule {header} = {body}", Signature(name, parameters, relation, alone)


def _default(draw: DrawFn, parameter: Parameter, vocabulary: Vocabulary) -> str:
    if draw(st.booleans()):
        return ""
    return f" = {draw(_values(parameter.type, vocabulary))}"


def _values(kind: ParameterType, vocabulary: Vocabulary) -> st.SearchStrategy[str]:
    """Values that a parameter may have whatever else is known: a number is at least 1."""
    bare = replace(Vocabulary(vocabulary.direction), tables=vocabulary.tables)
    match kind:
        case ParameterType.INT:
            return st.integers(1, 12).map(str)
        case ParameterType.RATIO:
            return st.sampled_from(["10%", "25%", "0.5%", "100%"])
        case ParameterType.SET:
            return sets(bare, 1)
        case ParameterType.RELATION:
            return relations(bare, 1)


# --- patterns ---


@st.composite
def pattern_texts(
    draw: DrawFn, vocabulary: Vocabulary = CLOSED, name: str = "p", depth: int = 2, *, claims: bool = True
) -> str:
    """The declaration of a pattern as text. Every parameter has a default, and `require` keeps the numbers positive."""
    kinds = st.sampled_from([_INT, _INT, _RATIO, _SET, _RELATION])
    parameters = [
        Parameter(f"{kind.value[0]}{place}", kind) for place, kind in enumerate(draw(st.lists(kinds, max_size=3)))
    ]
    shown = ", ".join(f"{each.name}: {each.type} = {draw(_values(each.type, vocabulary))}" for each in parameters)
    inner = vocabulary.having(*parameters)
    lines = [f"require {each.name} >= 1" for each in parameters if each.type is _INT]
    lines += [f"require not ({draw(formulas(_numbers_only(inner), 0))}) or 0 = 0"] * (draw(st.integers(0, 4)) == 4)
    grid, inner = draw(_grids(inner))
    learned: Sequence[str] = ()
    if inner.learned:
        learned, inner = draw(selections(inner))
    steps, inner = draw(_steps(inner, depth))
    lines += [*learned, *steps, *(draw(claim_texts(inner)) if claims else ())]
    documentation = ['"""A pattern."""'] * (draw(st.integers(0, 4)) == 4)
    header = f"pattern {name}{f'({shown})' if shown else ''} {vocabulary.direction}{grid}"
    return "\n".join([f"{header} {{", *(f"    {line}" for line in [*documentation, *lines]), "}"])


def _numbers_only(vocabulary: Vocabulary) -> Vocabulary:
    """What a requirement may speak of: the known numbers."""
    return replace(Vocabulary(vocabulary.direction), numbers=vocabulary.numbers, measured=False, quantifiers=0)


@st.composite
def _grids(draw: DrawFn, vocabulary: Vocabulary) -> tuple[str, Vocabulary]:
    """`grid(z, y = 4, x = 3)`: the first axis runs on with the sequence."""
    count = draw(st.sampled_from([0, 0, 2, 3]))
    if count == 0:
        return "", vocabulary
    names = ("z", "y", "x")[-count:]
    axes = [names[0], *(f"{name} = {draw(numbers(vocabulary))}" for name in names[1:])]
    return f" grid({', '.join(axes)})", replace(vocabulary, axes=names)


@st.composite
def _steps(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> tuple[list[str], Vocabulary]:
    """One to three steps; a named one may be used by those after it, and by the claims."""
    lines = []
    for place in chain([0], (1 + further for further in repeated(draw, 2))):
        body = draw(relations(vocabulary, depth, alone=True))
        name = draw(st.sampled_from(["", f"step{place}"]))
        lines.append(f"step {name} = {body}" if name else f"step {body}")
        if name:
            step = Signature(name, (), relation=True, alone=_stands_alone(body, vocabulary))
            vocabulary = replace(vocabulary, rules=(*vocabulary.rules, step))
    return lines, vocabulary


def _stands_alone(body: str, vocabulary: Vocabulary) -> bool:
    """Whether a term of the step is gated or a summary: such a step stands in unions only."""
    alone = {"gated", "pooled", "refine", *(rule.name for rule in vocabulary.rules if rule.alone)}
    return not alone.isdisjoint(re.findall(r"\w+", body))
