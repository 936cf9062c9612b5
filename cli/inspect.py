"""patternc inspect: what learned layers choose in a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..compiler.report.console import When, failures, paint, progress, say
from .options import Color, Parameters, Quiet, need, words_of

if TYPE_CHECKING:
    from ..runtime.inspection.inspect import Inspection


def inspect(
    subject: Annotated[str, typer.Argument(metavar="DIR|FILE[::NAME]", help="A saved attachment, pattern or plan.")],
    text: Annotated[Path, typer.Option("--text", help="UTF-8 text, of which the first tokens are read.")],
    model: Annotated[str, typer.Option("--model", help="A folder with a transformers model, or demo.")] = "demo",
    length: Annotated[int, typer.Option("-n", "--length", min=2, help="Tokens of the text.")] = 512,
    layer: Annotated[list[int], typer.Option("--layer", min=0, help="Only this one; may be repeated.")] = [],  # noqa: B006
    output: Annotated[Path | None, typer.Option("--output", "-o", help="x.html, x.png or x.json instead.")] = None,
    parameter: Parameters = [],  # noqa: B006
    color: Color = When.AUTO,
    quiet: Quiet = False,
) -> None:
    """Say what each layer and head chose in a text, and what is guaranteed to reach whom.

    What a pattern learns is at its random start, the same each time; a saved attachment has what it learned.
    """
    need("inspect", "safetensors", "transformers")
    from ..compiler.output import check_file
    from ..compiler.selection import UsageError
    from ..runtime.comparison import check_length, load_model
    from ..runtime.errors import AttachError
    from ..runtime.inspection.inspect import inspect as look
    from ..runtime.inspection.text import text as as_text
    from ..runtime.models.demo_model import DemoError
    from ..runtime.models.subjects import attach_subject, check_learns, find_subject, title_of

    with failures(AttachError, DemoError):
        if output is not None and output.suffix not in _WRITERS:
            raise UsageError(f"{output}: what is inspected is written as {', '.join(_WRITERS)}")
        if output is not None:
            check_file(output)
        chosen = find_subject(subject, parameter)
        check_learns(chosen, "`patternc show` and `patternc explain` say all of it")
        name = title_of(chosen)
        words = words_of(text)
        with progress("inspecting", quiet) as step:
            step("loading the model")
            network, tokenizer = load_model(model)
            ids = tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"][:length]
            if len(ids) < 2:
                raise UsageError(f"{text} has {len(ids)} tokens: nothing can be chosen")
            check_length(network, len(ids))
            shown = [tokenizer.decode([one]) for one in ids]
            with attach_subject(network, chosen) as handle:
                found = look(handle, ids, shown, subject=name, layers=layer or None, say=step)
        if output is None:
            print(as_text(found, paint(color)))
            return
        output.write_bytes(_WRITERS[output.suffix](found))
    say(f"wrote {output}", quiet)


def _page(found: Inspection) -> bytes:
    from ..runtime.inspection.page import page

    return page(found).encode()


def _sheet(found: Inspection) -> bytes:
    from ..runtime.inspection.page import sheet

    return sheet(found)


def _json(found: Inspection) -> bytes:
    from ..runtime.inspection.text import as_json

    return (as_json(found) + "\n").encode()


_WRITERS = {".html": _page, ".png": _sheet, ".json": _json}
