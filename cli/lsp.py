"""patternc lsp: the language server."""

from __future__ import annotations

import typer

from ..compiler.report.console import say


def lsp() -> None:
    """Serve an editor over stdin and stdout (Language Server Protocol)."""
    try:
        from ..compiler.editor.server import serve
    except ModuleNotFoundError as missing:
        if missing.name not in ("pygls", "lsprotocol"):
            raise
        say(f"error: the language server needs {missing.name}: pip install 'patternc[lsp]'")
        raise typer.Exit(2) from None
    serve()
