"""The language server. Only this file and ``protocol.py`` know pygls and the protocol."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls import uris
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method

from ... import __version__
from ...patterns_dsl.diagnostics.diagnostic import PatternError
from ...patterns_dsl.formatting.format import formatted
from ..verify.result import Status
from .answers import hover
from .buffers import Document
from .completion import complete
from .definition import definition, entries
from .diagnostics import actions
from .positions import Range, offset, position, whole
from .protocol import action, diagnostic, from_position, item, symbol, to_range
from .session import Session

CHECKED = "$/patternc/checked"
"""A notification of our own, when every claim of a text has its verdict: {uri, version, proved, checked, refuted,
unknown}, the last four counts of claims. Editors ignore what they do not know under ``$/``."""


class Protocol(LanguageServerProtocol):
    """Places are counted in UTF-16 units, which every client must know. Of what a client offers besides, pygls would
    promise the first, and places behind a letter that is not ASCII would be elsewhere."""

    @lsp_method(lsp.INITIALIZE)
    def lsp_initialize(self, params: lsp.InitializeParams) -> Generator[Any, Any, lsp.InitializeResult]:
        if params.capabilities.general is not None:
            params.capabilities.general.position_encodings = None
        return (yield from super().lsp_initialize(params))

    def structure_message(self, data: dict[str, Any]) -> Any:
        """A request whose parameters are none gets an answer too. pygls shows the mistake and answers nothing, for
        which an editor would wait without end."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if {"id", "method"} <= data.keys():
                self._send_response(data["id"], error=error.to_response_error())
            raise


class Server(LanguageServer):
    """A server with its session. Texts come whole: pygls would count a form feed as the end of a line."""

    def __init__(self) -> None:
        super().__init__(
            "patternc", __version__, text_document_sync_kind=lsp.TextDocumentSyncKind.Full, protocol_cls=Protocol
        )
        self.session = Session(self.show, self.tell)

    def document(self, identifier: lsp.TextDocumentIdentifier) -> Document | None:
        return self.session.buffers.documents.get(identifier.uri)

    def uri(self, file: Path) -> str:
        """What the editor calls a file: the same as when it opened it, where it did."""
        opened = (each.uri for each in self.session.buffers.documents.values() if each.path == file)
        return next(opened, uris.from_fs_path(str(file)) or "")

    def show(self, document: Document) -> None:
        found = [diagnostic(each, document.uri, self.uri) for each in document.found]
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(document.uri, found, document.version))

    def tell(self, document: Document) -> None:
        states = self.session.statuses(document)
        counts = {str(status): states.count(status) for status in Status}
        self.protocol.notify(CHECKED, {"uri": document.uri, "version": document.version, **counts})


# --- handlers ---


def made() -> Server:
    """A server with all its handlers."""
    server = Server()
    _follow_texts(server)
    _follow_files(server)
    _answer_at_places(server)
    _answer_about_texts(server)
    return server


def _follow_texts(server: Server) -> None:
    def put(identifier: lsp.TextDocumentIdentifier, version: int | None) -> None:
        text = server.workspace.get_text_document(identifier.uri).source
        path = uris.to_fs_path(identifier.uri)
        server.session.put(identifier.uri, Path(path) if path else None, text, version)

    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def opened(params: lsp.DidOpenTextDocumentParams) -> None:
        put(lsp.TextDocumentIdentifier(params.text_document.uri), params.text_document.version)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def changed(params: lsp.DidChangeTextDocumentParams) -> None:
        put(lsp.TextDocumentIdentifier(params.text_document.uri), params.text_document.version)

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: lsp.DidCloseTextDocumentParams) -> None:
        server.session.close(params.text_document.uri)
        server.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(params.text_document.uri, []))


def _follow_files(server: Server) -> None:
    @server.feature(lsp.INITIALIZED)
    async def ready(params: lsp.InitializedParams) -> None:
        await server.session.start()
        workspace = server.client_capabilities.workspace
        watched = workspace and workspace.did_change_watched_files
        if watched and watched.dynamic_registration:
            options = lsp.DidChangeWatchedFilesRegistrationOptions([lsp.FileSystemWatcher("**/*.pat")])
            wanted = lsp.Registration("patterns", lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
            await server.client_register_capability_async(lsp.RegistrationParams([wanted]))

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def written(params: lsp.DidChangeWatchedFilesParams) -> None:
        found = [uris.to_fs_path(change.uri) for change in params.changes]
        server.session.touched({Path(path) for path in found if path})

    @server.feature(lsp.SHUTDOWN)
    async def ended(params: None) -> None:
        await server.session.end()


def _answer_at_places(server: Server) -> None:
    @server.feature(lsp.TEXT_DOCUMENT_HOVER)
    async def hovered(params: lsp.HoverParams) -> lsp.Hover | None:
        document = server.document(params.text_document)
        found = document and await hover(server.session, document, from_position(params.position))
        if not found:
            return None
        return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, found[0]), to_range(found[1]))

    @server.feature(lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=['"', ".", "(", "["]))
    def completed(params: lsp.CompletionParams) -> lsp.CompletionList | None:
        document = server.document(params.text_document)
        if document is None:
            return None
        place = offset(document.source, from_position(params.position))
        cursor = position(document.source, place)  # of one outside of the text: where it was brought to
        found = complete(server.session.names(document), place)
        return lsp.CompletionList(
            False, [item(document.source, one, cursor, snippets=_snippets(server)) for one in found]
        )

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    def defined(params: lsp.DefinitionParams) -> lsp.Location | None:
        document = server.document(params.text_document)
        if document is None:
            return None
        place = offset(document.source, from_position(params.position))
        found = definition(server.session.names(document), place)
        if found is None:
            return None
        return lsp.Location(document.uri if found.file is None else server.uri(found.file), to_range(found.range))


def _answer_about_texts(server: Server) -> None:
    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def listed(params: lsp.DocumentSymbolParams) -> Sequence[lsp.DocumentSymbol]:
        document = server.document(params.text_document)
        return [symbol(entry) for entry in entries(document.outline)] if document else []

    @server.feature(
        lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions(code_action_kinds=[lsp.CodeActionKind.QuickFix])
    )
    def offered(params: lsp.CodeActionParams) -> Sequence[lsp.CodeAction]:
        document = server.document(params.text_document)
        if document is None or not document.settled:
            return []
        where = Range(from_position(params.range.start), from_position(params.range.end))
        return [action(one, edit, document.uri, server.uri) for one, edit in actions(document.found, where)]

    @server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
    def laid_out(params: lsp.DocumentFormattingParams) -> Sequence[lsp.TextEdit]:
        document = server.document(params.text_document)
        if document is None:
            return []
        try:
            text = formatted(document.source)
        except PatternError:
            return []  # what is wrong is shown already
        same = text == document.source.text
        return [] if same else [lsp.TextEdit(to_range(whole(document.source)), text)]


def _snippets(server: Server) -> bool:
    text = server.client_capabilities.text_document
    item = text and text.completion and text.completion.completion_item
    return bool(item and item.snippet_support)


def serve() -> None:
    """Speak the protocol on stdin and stdout until the editor ends it."""
    made().start_io()
