"""The server as an editor meets it: a process, spoken to in the protocol."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from client import PATIENCE, Editor, editor
from lsprotocol import types as lsp

from patternc.library import source
from patternc.patterns_dsl.formatting.format import formatted
from patternc.patterns_dsl.parsing.read import LARGEST

URI = "untitled:Untitled-1"
TEXT = """pattern p(w: int = 4) causal {
    step a = local(w) - self
    step b = strided(w)
    prove nonempty
    prove reach in 1 step
}
"""


Work: TypeAlias = Callable[[Editor], Coroutine[Any, Any, None]]
Talk: TypeAlias = Callable[[Work], None]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="module")
def server(runner: asyncio.Runner) -> Iterator[Editor]:
    """One server for all tests, each with texts of its own; to start one takes longer than most of them."""
    running = editor()
    yield runner.run(running.__aenter__())
    runner.run(running.__aexit__(None, None, None))


@pytest.fixture
def talk(runner: asyncio.Runner, server: Editor) -> Iterator[Talk]:
    """Runs a conversation with the server, from which it forgets the texts."""
    server.versions.clear()
    server.shown.clear()
    yield lambda work: runner.run(work(server))
    for uri in server.versions:
        server.text_document_did_close(lsp.DidCloseTextDocumentParams(identifier(uri)))
    server.counts.clear()


def identifier(uri: str = URI) -> lsp.TextDocumentIdentifier:
    return lsp.TextDocumentIdentifier(uri)


def test_typing_a_file(talk: Talk) -> None:
    async def work(client: Editor) -> None:
        assert await client.checked(URI, "pattern p causal {\n    step loc(4)\n    prove nonempty\n}\n") == ["P201"]
        (wrong,) = client.found[URI]
        assert wrong.range == lsp.Range(lsp.Position(1, 9), lsp.Position(1, 15))
        assert wrong.severity is lsp.DiagnosticSeverity.Error and wrong.source == "patternc"
        assert await client.checked(URI, "pattern p causal {\n    step local(4)\n    prove nonempty\n}\n") == []
        assert client.counts[URI, 2] == {"proved": 1, "checked": 0, "refuted": 0, "unknown": 0}
        assert await client.checked(URI, TEXT) == ["P302", "P303"]
        empty, far = client.found[URI]
        assert "witness: n = 1, i = 0" in empty.message and "help: add `| self`" in empty.message
        (label,) = empty.related_information or []
        assert label.location.uri == URI and label.location.range.start == lsp.Position(3, 4)
        assert far.range.start == lsp.Position(4, 4)

    talk(work)


def test_a_quick_fix_gives_a_text_that_checks(talk: Talk) -> None:
    async def work(client: Editor) -> None:
        text = TEXT.replace("    prove reach in 1 step\n", "")
        assert await client.checked(URI, text) == ["P302"]
        where = client.found[URI][0].range
        params = lsp.CodeActionParams(identifier(), where, lsp.CodeActionContext(client.found[URI]))
        (action,) = await client.text_document_code_action_async(params) or []
        assert isinstance(action, lsp.CodeAction) and action.kind == lsp.CodeActionKind.QuickFix
        assert action.edit is not None and action.edit.changes is not None
        (edit,) = action.edit.changes[URI]
        mended = text.splitlines(keepends=True)
        row = mended[edit.range.start.line]
        assert edit.range.start == edit.range.end
        mended[edit.range.start.line] = (
            row[: edit.range.start.character] + edit.new_text + row[edit.range.end.character :]
        )
        assert await client.checked(URI, "".join(mended)) == []
        assert client.counts[URI, 2]["proved"] == 1
        elsewhere = lsp.Range(lsp.Position(0, 0), lsp.Position(0, 1))
        params = lsp.CodeActionParams(identifier(), elsewhere, lsp.CodeActionContext([]))
        assert not await client.text_document_code_action_async(params)

    talk(work)


def test_hover_tells_figures_and_verdicts(talk: Talk) -> None:
    async def work(client: Editor) -> None:
        await client.checked(URI, TEXT + "plan m {\n    layers all : p(w = 8)\n}\n")
        pattern = await client.hover(URI, 0, 9)
        assert "`p(w = 4)`: causal, positional" in pattern
        assert "- `prove reach in 1 step`: **does not hold**" in pattern
        while "keys per query" not in pattern or "KV cache" not in pattern:  # they are computed while the hover waits
            pattern = await client.hover(URI, 0, 9)
        assert "density: 25.16% at n = 4,096" in pattern
        in_plan = await client.hover(URI, 7, 18)
        assert "`p(w = 8)`" in in_plan and "does not hold" not in in_plan
        claim = await client.hover(URI, 3, 6)
        assert "prove CLAIM" in claim and "- witness: n = 1, i = 0" in claim
        assert await client.hover(URI, 5, 0) == ""

    talk(work)


def test_hover_over_a_stock_pattern(talk: Talk) -> None:
    async def work(client: Editor) -> None:
        await client.checked(URI, 'from "library:axial" import axial\nplan m { layers all : longformer }')
        assert "`longformer(w = 256, g = first(1))`: bidirectional" in await client.hover(URI, 1, 24)
        axial = await client.hover(URI, 0, 30)
        assert "`axial(width = 64)`" in axial and "not reach`: not decided yet" in axial

    talk(work)


def test_completion(talk: Talk) -> None:
    async def work(client: Editor) -> None:
        client.write(URI, "# 😀\npattern p(w: int = 4) causal { step loc }")
        params = lsp.CompletionParams(identifier(), lsp.Position(1, 39))
        found = await client.text_document_completion_async(params)
        assert isinstance(found, lsp.CompletionList)
        (local,) = [item for item in found.items if item.label == "local"]
        assert isinstance(local.text_edit, lsp.TextEdit)
        assert local.text_edit.range == lsp.Range(lsp.Position(1, 36), lsp.Position(1, 39))
        assert local.text_edit.new_text == "local(${1:w})" and local.detail == "rule local(w: int)"
        assert local.insert_text_format is lsp.InsertTextFormat.Snippet

    talk(work)


def test_completion_without_snippets() -> None:
    async def work() -> None:
        async with editor(lsp.ClientCapabilities()) as client:
            await complete(client)

    async def complete(client: Editor) -> None:
        client.write(URI, "pattern p causal { step ")
        found = await client.text_document_completion_async(lsp.CompletionParams(identifier(), lsp.Position(0, 24)))
        assert isinstance(found, lsp.CompletionList)
        edits = {item.label: item.text_edit for item in found.items}
        assert isinstance(edits["local"], lsp.TextEdit) and edits["local"].new_text == "local"

    asyncio.run(work())


def test_definitions_symbols_and_formatting(talk: Talk) -> None:
    async def work(client: Editor) -> None:
        text = "rule  near = local(4)\npattern p causal { step a=near }\n"
        await client.checked(URI, text)
        near = await client.text_document_definition_async(lsp.DefinitionParams(identifier(), lsp.Position(1, 28)))
        assert isinstance(near, lsp.Location)
        assert near.uri == URI and near.range == lsp.Range(lsp.Position(0, 6), lsp.Position(0, 10))
        local = await client.text_document_definition_async(lsp.DefinitionParams(identifier(), lsp.Position(0, 15)))
        assert isinstance(local, lsp.Location) and local.uri.endswith("/patterns_dsl/builtin/prelude.pat")
        symbols = await client.text_document_document_symbol_async(lsp.DocumentSymbolParams(identifier()))
        assert [one.name for one in symbols or []] == ["near", "p"]
        options = lsp.FormattingOptions(4, True)
        edits = await client.text_document_formatting_async(lsp.DocumentFormattingParams(identifier(), options))
        (edit,) = edits or []
        assert edit.range == lsp.Range(lsp.Position(0, 0), lsp.Position(2, 0)) and edit.new_text != text
        await client.checked(URI, edit.new_text)
        assert not await client.text_document_formatting_async(lsp.DocumentFormattingParams(identifier(), options))
        await client.checked(URI, "pattern p causal {")
        assert not await client.text_document_formatting_async(lsp.DocumentFormattingParams(identifier(), options))

    talk(work)


def test_the_library_is_formatted(talk: Talk) -> None:
    """What the server offers is what ``patternc fmt`` writes."""
    text = source("longformer")

    async def work(client: Editor) -> None:
        await client.checked(URI, text.text.replace("    step ", "  step   "))
        params = lsp.DocumentFormattingParams(identifier(), lsp.FormattingOptions(4, True))
        (edit,) = await client.text_document_formatting_async(params) or []
        assert edit.new_text == formatted(text)

    talk(work)


def test_a_file_that_is_imported(tmp_path: Path, talk: Talk) -> None:
    other = tmp_path / "other.pat"
    main, near = (tmp_path / "main.pat").as_uri(), other.as_uri()

    async def work(client: Editor) -> None:
        await client.until(lambda: client.registered == ["workspace/didChangeWatchedFiles"])
        assert await client.checked(
            main, 'from "other.pat" import near\npattern p causal { step near prove nonempty }'
        ) == ["P218"]
        other.write_text("rule near = self", encoding="utf-8")
        change = lsp.FileEvent(near, lsp.FileChangeType.Created)
        client.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams([change]))
        await client.shows(main, [])
        client.write(near, "rule near = self - self")  # the open text wins over the disk
        await client.shows(main, ["P302"])
        client.write(near, "rule near = ")
        await client.shows(main, ["P101"])
        (wrong,) = client.found[main]
        assert [one.location.uri for one in wrong.related_information or []] == [near]
        client.text_document_did_close(lsp.DidCloseTextDocumentParams(identifier(near)))
        await client.shows(main, [])
        place = lsp.DefinitionParams(identifier(main), lsp.Position(1, 25))
        found = await client.text_document_definition_async(place)
        assert isinstance(found, lsp.Location) and found.uri == near

    talk(work)


def test_columns_are_utf_16(talk: Talk) -> None:
    async def work(client: Editor) -> None:
        assert await client.checked(URI, '"""😀𝔸"""\n"""é😀"""\tpattern p causal { step loc(4) }') == ["P201"]
        assert client.found[URI][0].range.start == lsp.Position(1, 34)
        assert "rule local" not in await client.hover(URI, 1, 35)
        await client.checked(URI, '"""😀𝔸"""\n"""é😀"""\tpattern p causal { step local(4) }')
        assert "rule local" in await client.hover(URI, 1, 34)

    talk(work)


@pytest.mark.parametrize("first", ["utf-8", "utf-32"])
def test_columns_are_utf_16_whatever_a_client_prefers(first: str) -> None:
    """Neovim and Helix offer the others first. What is promised is what is sent."""

    async def work() -> None:
        offered = [lsp.PositionEncodingKind(first), lsp.PositionEncodingKind.Utf16]
        general = lsp.GeneralClientCapabilities(position_encodings=offered)
        async with editor(lsp.ClientCapabilities(general=general)) as client:
            assert client.promised.position_encoding == lsp.PositionEncodingKind.Utf16
            await client.checked(URI, '"""😀𝔸""" pattern p causal { step loc(4) }')
            assert client.found[URI][0].range.start == lsp.Position(0, 35)

    asyncio.run(work())


def test_a_place_outside_of_the_text_is_brought_into_it(talk: Talk) -> None:
    async def work(client: Editor) -> None:
        client.write(URI, "pattern p causal { step lo\n")
        for place, start, end in ((lsp.Position(0, 99), 24, 26), (lsp.Position(7, 5), 0, 0)):
            found = await client.text_document_completion_async(lsp.CompletionParams(identifier(), place))
            assert isinstance(found, lsp.CompletionList) and found.items
            line = min(place.line, 1)
            expected = lsp.Range(lsp.Position(line, start), lsp.Position(line, end))
            assert all(
                isinstance(one.text_edit, lsp.TextEdit) and one.text_edit.range == expected for one in found.items
            )

    talk(work)


def test_every_keystroke(talk: Talk) -> None:
    """Faster than anything can be read; what counts is the last text, and that the server says nothing on stderr."""

    async def work(client: Editor) -> None:
        for end in range(len(TEXT)):
            client.write(URI, TEXT[:end])
            place = lsp.Position(TEXT.count("\n", 0, end), end - (TEXT.rfind("\n", 0, end) + 1))
            await client.text_document_completion_async(lsp.CompletionParams(identifier(), place))
            await client.text_document_hover_async(lsp.HoverParams(identifier(), place))
        assert await client.checked(URI, TEXT) == ["P302", "P303"]

    talk(work)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("", []),
        ("\0", ["P101"]),
        ("pattern p\0 causal { step \ud800 }", ["P101"]),
        ("\ufeffpattern p causal {\r\n  step self\r}", []),
        ("# \u2028 \x0c \x1c\npattern p causal { step loc }", ["P201"]),
        ("(" * 50_000, ["P104"]),
        ("# " + "x" * LARGEST, ["P108"]),
        ('"""' + "😀" * (LARGEST // 4), ["P108"]),
    ],
)
def test_texts_that_are_no_patterns(text: str, codes: list[str], talk: Talk) -> None:
    async def work(client: Editor) -> None:
        assert await client.checked(URI, text) == codes
        whole = lsp.Range(lsp.Position(0, 0), lsp.Position(9, 9))
        for place in (lsp.Position(0, 0), lsp.Position(0, 9), lsp.Position(7, 7)):
            await client.text_document_hover_async(lsp.HoverParams(identifier(), place))
            await client.text_document_completion_async(lsp.CompletionParams(identifier(), place))
            await client.text_document_definition_async(lsp.DefinitionParams(identifier(), place))
        context = lsp.CodeActionContext([])
        await client.text_document_code_action_async(lsp.CodeActionParams(identifier(), whole, context))
        await client.text_document_document_symbol_async(lsp.DocumentSymbolParams(identifier()))
        options = lsp.FormattingOptions(4, True)
        await client.text_document_formatting_async(lsp.DocumentFormattingParams(identifier(), options))
        assert await client.checked(URI, "pattern p causal { step self prove nonempty }") == []

    talk(work)


def test_a_proof_that_is_superseded(talk: Talk) -> None:
    """The newer text gets its verdicts whatever is being proved of the older one, which shows nothing more."""

    uri = "untitled:superseded"  # no other test says anything of it

    async def work(client: Editor) -> None:
        slow = "pattern p causal { step { (i, j) : i * 7 div 11 mod 13 = j * 5 div 3 mod 17 } prove reach in 6 steps }"
        client.write(uri, slow)
        await client.until(lambda: client.shown[uri] >= 1)  # it was read: what comes next are its proofs
        assert await client.checked(uri, "pattern p causal { step self - self prove nonempty }") == ["P302"]
        assert await client.checked(uri, "pattern p causal { step self prove nonempty }") == []
        assert (uri, 1) not in client.counts

    talk(work)


def test_a_text_that_was_never_opened(talk: Talk) -> None:
    async def work(client: Editor) -> None:
        assert await client.hover("untitled:other", 0, 0) == ""
        params = lsp.CompletionParams(identifier("untitled:other"), lsp.Position(0, 0))
        assert await client.text_document_completion_async(params) is None
        client.text_document_did_close(lsp.DidCloseTextDocumentParams(identifier("untitled:other")))
        assert await client.checked(URI, TEXT) == ["P302", "P303"]

    talk(work)


def test_a_request_that_is_none_gets_an_answer() -> None:
    """Or an editor would wait for it. A client of pygls sends none such: the bytes are written here."""
    hello = {"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}}
    wrong = {"id": 2, "method": "textDocument/hover", "params": {"textDocument": {"uri": URI}}}  # where?
    sent = b""
    for message in (hello, wrong, {"id": 3, "method": "shutdown"}, {"method": "exit"}):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        sent += b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    command = [sys.executable, "-c", "from patternc.cli import main; main()", "lsp"]
    done = subprocess.run(command, input=sent, capture_output=True, check=False, timeout=PATIENCE)
    heard = [json.loads(part) for part in re.split(rb"Content-[A-Z][^{]*\r\n\r\n", done.stdout) if part]
    answers = {message["id"]: message for message in heard if "id" in message}
    assert answers.keys() == {1, 2, 3}
    assert answers[2]["error"]["code"] == -32602  # invalid parameters


def test_without_pygls_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['pygls'] = None; from patternc.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "lsp"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "error: the language server needs pygls: pip install 'patternc[lsp]'\n"
