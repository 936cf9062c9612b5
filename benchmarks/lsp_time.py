"""How long `patternc lsp` takes after a keystroke: until the first diagnostics, and until every claim has a verdict.

    python benchmarks/lsp_time.py [--runs 5] [--patterns dense,longformer]

A client speaks to the server over stdin and stdout as an editor does. Every stock file is opened and edited: a comment,
one claim, one parameter of one pattern (all of whose claims are then proved anew), a mistake. No text is sent twice, or
its verdicts would be known. Seconds run from the sending of a change to the message that answers it; those to the
verdicts contain the pause without a keystroke that the server waits for before it proves anything.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient
from record import RESULTS, Spread, Target, machine, write

from patternc.compiler.editor.session import PAUSE
from patternc.library import names, source

LIMIT = 0.1


def comment(text: str, run: int) -> str:
    return f"# edit {run}\n{text}"


def claim(text: str, run: int) -> str:
    """One more claim of the last pattern."""
    return re.sub(r"\}\s*\Z", f"    prove keys <= n + {run}\n}}\n", text)


def parameter(text: str, run: int) -> str:
    """Another default of the first parameter that is a number: of a file of two patterns, one changes."""
    return re.sub(r": int = (\d+)", lambda found: f": int = {int(found[1]) + run}", text, count=1)


def mistake(text: str, run: int) -> str:
    return text.replace("    step", f"    step ) {run}", 1)


EDITS: dict[str, Callable[[str, int], str]] = {
    "a comment": comment,
    "a claim": claim,
    "a parameter": parameter,
    "a mistake": mistake,
}


class Client(LanguageClient):
    """``times``: for each version of a text, when it was sent, first answered, and checked."""

    def __init__(self) -> None:
        super().__init__("benchmark", "1")
        self.times: dict[tuple[str, int], list[float]] = {}
        self.news = asyncio.Event()

        @self.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: lsp.PublishDiagnosticsParams) -> None:
            times = self.times[params.uri, params.version or 0]
            if len(times) == 1:
                times.append(time.perf_counter())

        @self.feature("$/patternc/checked")
        def checked(params: Any) -> None:
            self.times[params.uri, params.version].append(time.perf_counter())
            self.news.set()

    async def send(self, uri: str, version: int, text: str) -> tuple[float, float]:
        """Seconds until the first diagnostics of a text, and until its verdicts."""
        self.news.clear()
        self.times[uri, version] = [time.perf_counter()]
        if version == 1:
            self.text_document_did_open(lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri, "pat", version, text)))
        else:
            change = lsp.TextDocumentContentChangeWholeDocument(text)
            identifier = lsp.VersionedTextDocumentIdentifier(version, uri)
            self.text_document_did_change(lsp.DidChangeTextDocumentParams(identifier, [change]))
        await self.news.wait()
        sent, first, last = self.times[uri, version]
        return first - sent, last - sent


async def measure(files: Sequence[str], runs: int) -> dict[str, dict[str, dict[str, list[float]]]]:
    """For each edit, for each stock file, the seconds of each run, to the diagnostics and to the verdicts."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {edit: {} for edit in ("opened", *EDITS)}
    client = Client()
    await client.start_io(sys.executable, "-c", "from patternc.cli import main; main()", "lsp")
    await client.initialize_async(lsp.InitializeParams(capabilities=lsp.ClientCapabilities()))
    client.initialized(lsp.InitializedParams())
    await client.send("untitled:warm-up", 1, "pattern p causal { step self prove nonempty }")
    for name in files:
        text, uri, version = source(name).text, f"untitled:{name}", 1
        first, last = await client.send(uri, version, text)
        found["opened"][name] = {"diagnostics": [first], "verdicts": [last]}
        for run in range(1, runs + 1):
            for edit, change in EDITS.items():
                version += 1
                first, last = await client.send(uri, version, change(text, run))
                row = found[edit].setdefault(name, {"diagnostics": [], "verdicts": []})
                row["diagnostics"].append(first)
                row["verdicts"].append(last)
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--patterns", default=",".join(names()), help="stock files, parted by commas")
    parser.add_argument("--out", type=Path, default=RESULTS / "lsp_time.json")
    options = parser.parse_args()
    where, chosen = machine(), options.patterns.split(",")
    found = asyncio.run(measure(chosen, options.runs))
    print(f"patternc lsp, {options.runs} runs of each edit in {len(chosen)} files, ms: median (min..max), worst file")
    rows: dict[str, dict[str, object]] = {}
    for edit, files in found.items():
        for answer in ("diagnostics", "verdicts"):
            spread = Spread.of([seconds for row in files.values() for seconds in row[answer]])
            medians = {name: Spread.of(row[answer]).median for name, row in files.items()}
            worst = max(medians, key=lambda name: medians[name])
            rows.setdefault(edit, {})[answer] = {**asdict(spread), "files": medians}
            print(
                f"  {edit:12} {answer:12} {1e3 * spread.median:6.1f} ({1e3 * spread.min:.1f}..{1e3 * spread.max:.1f})"
                f"  {worst} {1e3 * medians[worst]:.1f}"
            )
    verdicts = [seconds for row in found["a parameter"].values() for seconds in row["verdicts"]]
    targets = [Target("verdicts after an edit of one pattern, seconds", LIMIT, Spread.of(verdicts).median, False)]
    print(*[target.as_text() for target in targets], sep="\n")
    settings = {"runs": options.runs, "pause": PAUSE, "files": chosen}
    write(options.out, "lsp_time", settings, targets, where, seconds=rows)


if __name__ == "__main__":
    main()
