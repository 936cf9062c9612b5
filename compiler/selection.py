"""A pattern as a command names it: ``FILE``, ``FILE::NAME``, ``library:NAME``, and ``-p name=value`` settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..library import catalogue
from ..patterns_dsl.syntax import Bound, BoundPattern
from .pattern import LIBRARY, Module, Pattern, Plan, load


class UsageError(ValueError):
    """The command line asks for something that cannot be; the message says what it could ask for."""


@dataclass(frozen=True, slots=True)
class Reference:
    """``file`` is a path or ``library:NAME``; ``name`` picks a pattern of the file, None when none is named."""

    file: str
    name: str | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        if not text or "\0" in text:
            raise UsageError(f"{text!r} cannot be the name of a file")
        file, separator, name = text.rpartition("::")
        if not separator:
            return cls(text, None)
        if not file or not name.isidentifier():
            raise UsageError(f"{text!r} is neither FILE nor FILE::NAME")
        return cls(file, name)


def every(texts: Iterable[str]) -> tuple[Reference, ...]:
    """The references of a command line; ``library:`` alone stands for every stock pattern."""
    found: list[Reference] = []
    for text in texts:
        if text == LIBRARY:
            found += [Reference(LIBRARY + name, None) for name in catalogue.names()]
        else:
            found.append(Reference.parse(text))
    return tuple(found)


def settings(texts: Iterable[str]) -> dict[str, str]:
    """``["l=64", "density=10%", "g={0, 5..9}"]`` as arguments of bind, which reads the values."""
    values: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not separator or not name.isidentifier() or not value.strip():
            raise UsageError(f"-p takes name=value, as in -p l=64, not {text!r}")
        if name in values:
            raise UsageError(f"-p {name} is given twice")
        values[name] = value.strip()
    return values


def spelled(value: Bound) -> str:
    """A bound argument as ``-p`` takes it: the inverse of ``settings``."""
    match value:
        case int():
            return str(value)
        case float():
            short = f"{100 * value:.12g}"
            return f"{short if float(short) / 100 == value else repr(100 * value)}%"
        case _:
            return " ".join(value.span.text.split())


def given(pattern: BoundPattern) -> dict[str, str]:
    """The arguments as ``settings`` gives them, without sets and relations that the file has as defaults: these may
    speak of other parameters, and follow from them."""
    own = pattern.span.source
    return {
        name: spelled(value) if isinstance(value, int | float) else value.span.text.strip()
        for name, value in pattern.arguments
        if isinstance(value, int | float) or value.span.source != own
    }


def title(pattern: BoundPattern) -> str:
    """The pattern with its arguments: ``fixed_factorized(l = 128, c = 8)``."""
    arguments = ", ".join(f"{name} = {spelled(value)}" for name, value in pattern.arguments)
    return f"{pattern.name}({arguments})" if arguments else pattern.name


def parameters(pattern: Pattern) -> frozenset[str]:
    """The names that a pattern can be given values for."""
    tree = next(tree for tree in pattern.module.tree.patterns if tree.name == pattern.name)
    return frozenset(parameter.name for parameter in tree.parameters)


def named(reference: Reference, module: Module) -> tuple[tuple[Pattern, ...], tuple[Plan, ...]]:
    """The pattern or plan that is named, or all of the file. A pattern comes before a plan of the same name."""
    name = reference.name
    if name is None:
        return tuple(module.patterns.values()), tuple(module.plans.values())
    if name in module.patterns:
        return (module.patterns[name],), ()
    if name in module.plans:
        return (), (module.plans[name],)
    known = ", ".join((*module.patterns, *module.plans)) or "none"
    raise UsageError(f"{reference.file} has no pattern or plan {name!r}; it has {known}")


def select_plan(text: str, arguments: Iterable[str]) -> Plan | None:
    """The plan that ``text`` names, if it names one. A plan takes no settings."""
    reference = Reference.parse(text)
    if reference.name is None:
        return None
    patterns, plans = named(reference, load(reference.file))
    if patterns or not plans:
        return None
    if given := settings(arguments):
        raise parameters_of_a_plan(given)
    return plans[0]


def parameters_of_a_plan(given: Mapping[str, str]) -> UsageError:
    return UsageError(f"a plan has no parameters, and -p {next(iter(given))} is given")


def select(text: str, arguments: Iterable[str]) -> Pattern:
    """The one pattern that ``text`` names, bound to the settings."""
    reference = Reference.parse(text)
    patterns, plans = named(reference, load(reference.file))
    if reference.name is not None and plans:
        raise UsageError(f"{reference.name!r} is a plan of {reference.file}, and a pattern is wanted here")
    if len(patterns) != 1:
        names = ", ".join(pattern.name for pattern in patterns)
        if not patterns:
            raise UsageError(f"{reference.file} has no pattern")
        raise UsageError(f"{reference.file} has {len(patterns)} patterns ({names}): pick one with FILE::NAME")
    return patterns[0].bind(**settings(arguments))
