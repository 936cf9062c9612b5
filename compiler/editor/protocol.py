"""The values of this room as the protocol's types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lsprotocol import types as lsp

from ...patterns_dsl.diagnostics.diagnostic import Severity
from ...patterns_dsl.diagnostics.source import Source
from .completion import Item
from .declarations import Sort
from .definition import Entry
from .diagnostics import Edit, Finding
from .positions import Position, Range, position

_SEVERITIES = {
    Severity.ERROR: lsp.DiagnosticSeverity.Error,
    Severity.WARNING: lsp.DiagnosticSeverity.Warning,
    Severity.NOTE: lsp.DiagnosticSeverity.Information,
}
_ITEMS = {
    "keyword": lsp.CompletionItemKind.Keyword,
    "snippet": lsp.CompletionItemKind.Snippet,
    "file": lsp.CompletionItemKind.File,
    "variable": lsp.CompletionItemKind.Variable,
    "option": lsp.CompletionItemKind.Property,
    "selector": lsp.CompletionItemKind.Function,
    Sort.RULE: lsp.CompletionItemKind.Function,
    Sort.PATTERN: lsp.CompletionItemKind.Class,
    Sort.PLAN: lsp.CompletionItemKind.Module,
    Sort.IMPORT: lsp.CompletionItemKind.Reference,
    Sort.PARAMETER: lsp.CompletionItemKind.Variable,
    Sort.AXIS: lsp.CompletionItemKind.Field,
    Sort.SELECTION: lsp.CompletionItemKind.Variable,
    Sort.STEP: lsp.CompletionItemKind.Method,
}
_SYMBOLS = {
    Sort.RULE: lsp.SymbolKind.Function,
    Sort.PATTERN: lsp.SymbolKind.Class,
    Sort.PLAN: lsp.SymbolKind.Module,
    Sort.PARAMETER: lsp.SymbolKind.Variable,
    Sort.SELECTION: lsp.SymbolKind.Variable,
    Sort.STEP: lsp.SymbolKind.Method,
}


def to_range(found: Range) -> lsp.Range:
    return lsp.Range(lsp.Position(found.start.line, found.start.column), lsp.Position(found.end.line, found.end.column))


def from_position(place: lsp.Position) -> Position:
    return Position(place.line, place.character)


def diagnostic(finding: Finding, uri: str, named: Callable[[Path], str]) -> lsp.Diagnostic:
    """A finding of the text ``uri``; ``named`` is what the editor calls other files."""
    related = [
        lsp.DiagnosticRelatedInformation(
            lsp.Location(uri if one.file is None else named(one.file), to_range(one.range)), one.text
        )
        for one in finding.related
    ]
    return lsp.Diagnostic(
        to_range(finding.range),
        finding.message,
        severity=_SEVERITIES[finding.severity],
        code=finding.code,
        code_description=None if finding.page is None else lsp.CodeDescription(named(finding.page)),
        source="patternc",
        related_information=related or None,
    )


def item(source: Source, one: Item, cursor: Position, *, snippets: bool) -> lsp.CompletionItem:
    """``snippets``: whether the editor understands text with places to fill in."""
    insert = one.insert if snippets and one.insert is not None else one.label
    where = Range(position(source, one.start), cursor)
    return lsp.CompletionItem(
        one.label,
        kind=_ITEMS[one.sort],
        detail=one.detail or None,
        documentation=lsp.MarkupContent(lsp.MarkupKind.Markdown, one.documentation) if one.documentation else None,
        sort_text=f"{one.rank}{one.label}",
        filter_text=one.label,
        insert_text_format=lsp.InsertTextFormat.Snippet if snippets and one.insert is not None else None,
        text_edit=lsp.TextEdit(to_range(where), insert),
    )


def symbol(entry: Entry) -> lsp.DocumentSymbol:
    return lsp.DocumentSymbol(
        entry.name,
        _SYMBOLS[entry.sort],
        to_range(entry.whole),
        to_range(entry.place),
        detail=entry.detail or None,
        children=[symbol(part) for part in entry.parts],
    )


def action(finding: Finding, edit: Edit, uri: str, named: Callable[[Path], str]) -> lsp.CodeAction:
    """The edit that mends a finding."""
    change = lsp.TextEdit(to_range(edit.range), edit.replacement)
    return lsp.CodeAction(
        edit.title,
        kind=lsp.CodeActionKind.QuickFix,
        diagnostics=[diagnostic(finding, uri, named)],
        is_preferred=True,
        edit=lsp.WorkspaceEdit(changes={uri: [change]}),
    )
