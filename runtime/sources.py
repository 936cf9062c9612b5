"""The text of an artifact: the pattern's file, the files that it imports, and the arguments that do not follow from it.

Imported files lie beside the pattern's as ``imports/1.pat`` and so on, each text as it was: ``imports`` of the manifest
says which of them a path in which file means. Stock files are those of the version that reads the artifact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..compiler.pattern import LIBRARY, Module, Pattern, find_import
from ..compiler.selection import settings
from ..patterns_dsl import syntax
from ..patterns_dsl.binding.link import ImportRefused
from ..patterns_dsl.diagnostics.source import Source

SOURCE = "pattern.pat"

Imports = dict[str, dict[str, str]]
"""By the name of a file in the artifact, by the path that stands in it: the name of the file that it imports."""


@dataclass(frozen=True, slots=True)
class Sources:
    """``texts`` by the name of a file in the artifact, the pattern's own among them."""

    texts: Mapping[str, str]
    imports: Imports

    def pattern(self, name: str, arguments: Mapping[str, str], directory: Path) -> Pattern:
        """Read from the texts alone. Raises PatternError, KeyError, UsageError."""
        names = {str(directory / file): file for file in self.texts}

        def find(importer: Source, path: str) -> Source:
            if path.startswith(LIBRARY):
                return find_import(importer, path)
            file = self.imports.get(names[importer.name], {}).get(path)
            if file is None or file not in self.texts:
                raise ImportRefused(f"the artifact does not hold {path}", "compile the pattern again")
            return Source(str(directory / file), self.texts[file])

        module = Module(Source(str(directory / SOURCE), self.texts[SOURCE]), find)
        return module[name].bind(**settings(f"{key}={value}" for key, value in arguments.items()))


def sources_of(tree: syntax.Module) -> Sources:
    """Of a linked module."""
    names = {tree.span.source.name: SOURCE}
    texts = {SOURCE: tree.span.source.text}
    imports: dict[str, dict[str, str]] = {}
    left = [tree]
    while left:
        module = left.pop()
        mine = imports.setdefault(names[module.span.source.name], {})
        for path, imported in _imported(module):
            source = imported.span.source
            if source.name not in names:
                names[source.name] = f"imports/{len(names)}.pat"
                texts[names[source.name]] = source.text
                left.append(imported)
            mine[path] = names[source.name]
    return Sources(texts, {file: paths for file, paths in imports.items() if paths})


def _imported(module: syntax.Module) -> Iterator[tuple[str, syntax.Module]]:
    """Each path that is not the library's, with the module that it means."""
    homes = {link.name: link.module for link in module.links}
    for each in module.imports:
        if not each.path.startswith(LIBRARY):
            yield each.path, homes[each.names[0].name]
