"""A language client that talks to ``patternc lsp`` as an editor does: over stdin and stdout of a process."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

PATIENCE = 120
"""Seconds after which a test fails that waits for the server."""

CAPABILITIES = lsp.ClientCapabilities(
    text_document=lsp.TextDocumentClientCapabilities(
        completion=lsp.CompletionClientCapabilities(
            completion_item=lsp.ClientCompletionItemOptions(snippet_support=True),
        )
    ),
    workspace=lsp.WorkspaceClientCapabilities(
        did_change_watched_files=lsp.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True)
    ),
)


class Editor(LanguageClient):
    """``found`` are the diagnostics that a text shows now, ``shown`` how often it was told any; ``counts`` those of its
    claims, by version; ``promised`` is what the server says that it can."""

    def __init__(self) -> None:
        super().__init__("test", "1")
        self.found: dict[str, list[lsp.Diagnostic]] = {}
        self.shown: Counter[str] = Counter()
        self.registered: list[str] = []
        self.counts: dict[tuple[str, int], dict[str, int]] = {}
        self.news = asyncio.Condition()
        self.versions: dict[str, int] = {}
        self.promised = lsp.ServerCapabilities()

        @self.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        async def published(params: lsp.PublishDiagnosticsParams) -> None:
            async with self.news:
                self.found[params.uri] = list(params.diagnostics)
                self.shown[params.uri] += 1
                self.news.notify_all()

        @self.feature(lsp.CLIENT_REGISTER_CAPABILITY)
        async def registered(params: lsp.RegistrationParams) -> None:
            async with self.news:
                self.registered += [one.method for one in params.registrations]
                self.news.notify_all()

        @self.feature("$/patternc/checked")
        async def checked(params: Any) -> None:
            names = ("proved", "checked", "refuted", "unknown")
            async with self.news:
                self.counts[params.uri, params.version] = {name: getattr(params, name) for name in names}
                self.news.notify_all()

    # --- what a user does ---

    def write(self, uri: str, text: str) -> None:
        """Open a text, or replace it."""
        self.versions[uri] = version = self.versions.get(uri, 0) + 1
        if version == 1:
            item = lsp.TextDocumentItem(uri, "pat", version, text)
            self.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        else:
            change = lsp.TextDocumentContentChangeWholeDocument(text)
            identifier = lsp.VersionedTextDocumentIdentifier(version, uri)
            self.text_document_did_change(lsp.DidChangeTextDocumentParams(identifier, [change]))

    async def settled(self, uri: str) -> list[str]:
        """The codes that the newest text shows when all its claims have verdicts."""
        await self.until(lambda: (uri, self.versions[uri]) in self.counts)
        return self.codes(uri)

    async def checked(self, uri: str, text: str) -> list[str]:
        self.write(uri, text)
        return await self.settled(uri)

    async def shows(self, uri: str, codes: list[str]) -> None:
        await self.until(lambda: self.codes(uri) == codes)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self.news, asyncio.timeout(PATIENCE):
            await self.news.wait_for(condition)

    def codes(self, uri: str) -> list[str]:
        return [str(one.code) for one in self.found.get(uri, [])]

    async def hover(self, uri: str, line: int, column: int) -> str:
        place = lsp.HoverParams(lsp.TextDocumentIdentifier(uri), lsp.Position(line, column))
        found = await self.text_document_hover_async(place)
        return found.contents.value if found and isinstance(found.contents, lsp.MarkupContent) else ""


@asynccontextmanager
async def editor(capabilities: lsp.ClientCapabilities = CAPABILITIES) -> AsyncIterator[Editor]:
    """A client that is connected. At the end the server is shut down: it exits with 0, and its stderr is empty."""
    client = Editor()
    await client.start_io(sys.executable, "-c", "from patternc.cli import main; main()", "lsp")
    client.promised = (await client.initialize_async(lsp.InitializeParams(capabilities=capabilities))).capabilities
    client.initialized(lsp.InitializedParams())
    yield client
    async with asyncio.timeout(PATIENCE):
        await client.shutdown_async(None)
        client.exit(None)
        server = client._server
        assert server is not None and server.stderr is not None
        said = (await server.stderr.read()).decode()
        assert await server.wait() == 0, said
        assert said == ""
        await client.stop()
