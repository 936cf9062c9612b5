"""link: imported names are tied to the modules that declare them.

    from "windows.pat" import near, far as distant

A path starts at the importing file's folder; ``library:NAME`` is a stock file. An imported rule keeps the scope of its
own file. What a file imports it does not pass on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from ..diagnostics import codes
from ..diagnostics.diagnostic import Diagnostic, Fix, Label, PatternError
from ..diagnostics.source import Source
from ..parsing.parse import parse
from ..syntax import Import, Imported, Link, Module
from .scope import closest, suggestion

Finder: TypeAlias = Callable[[Source, str], Source]
"""The source that a path in another source names. Raises ImportRefused where there is none, and PatternError where it
is not a text."""


class ImportRefused(Exception):
    """Why a path cannot be imported, and what to do."""

    def __init__(self, message: str, help: str) -> None:
        self.message, self.help = message, help
        super().__init__(message)


def link(module: Module, find: Finder) -> Module:
    """The module with every imported name linked. Raises PatternError with every finding of all files."""
    return _Linker(find).linked(module, ())


class _Linker:
    def __init__(self, find: Finder) -> None:
        self.find = find
        self.done: dict[str, Module] = {}

    def linked(self, module: Module, above: tuple[Import, ...]) -> Module:
        links: list[Link] = []
        found: list[Diagnostic] = []
        for each in module.imports:
            try:
                links += self.links(each, above)
            except PatternError as error:
                found += [one for one in error.diagnostics if one not in found]
        if found:
            raise PatternError(found)
        return replace(module, links=tuple(links))

    def links(self, each: Import, above: tuple[Import, ...]) -> list[Link]:
        try:
            source = self.find(each.span.source, each.path)
        except ImportRefused as refused:
            raise PatternError([Diagnostic(codes.IMPORT, refused.message, each.span, help=(refused.help,))]) from None
        self.refuse_cycle(each, source, above)
        if source.name not in self.done:
            self.done[source.name] = self.linked(_parsed(source, source.folder), (*above, each))
        home = self.done[source.name]
        known = [rule.name for rule in home.rules] + [pattern.name for pattern in home.patterns]
        found = [_unknown(each, name, known) for name in each.names if name.original not in known]
        if found:
            raise PatternError(found)
        return [Link(name.name, name.original, home, span=name.span) for name in each.names]

    def refuse_cycle(self, each: Import, source: Source, above: tuple[Import, ...]) -> None:
        """``above``: the imports that led to the file in which ``each`` stands, outermost first."""
        path = [one.span.source.name for one in (*above, each)]
        if source.name not in path:
            return
        circle = (*above, each)[path.index(source.name) :]
        labels = tuple(Label(one.span, f"{one.span.source.name} imports {one.path}") for one in circle[:-1])
        message = f"{source.name} imports itself" + (
            f", by way of {', '.join(path[path.index(source.name) + 1 :])}" if len(circle) > 1 else ""
        )
        help = "move what both need into a third file"
        raise PatternError([Diagnostic(codes.IMPORT_CYCLE, message, each.span, labels=labels, help=(help,))])


@lru_cache(maxsize=64)
def _parsed(source: Source, folder: Path | None) -> Module:
    """Once for all files that import it. ``folder``: the source's, which sources are not told apart by."""
    return parse(source)


def _unknown(each: Import, name: Imported, known: list[str]) -> Diagnostic:
    close = closest(name.original, known)
    fix = close and Fix(f"import `{close}`", name.span, close + name.span.text[len(name.original) :])
    message = f"{each.path} declares no rule or pattern `{name.original}`"
    return Diagnostic(codes.UNKNOWN_NAME, message, name.span, help=(suggestion(name.original, known),), fix=fix or None)
