"""An inspection as text for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from ...compiler.report.explanation import table
from ...compiler.report.palette import Paint
from .inspect import Inspection, Reach
from .layer import HeadReading, LayerReading

_NAMED = 4
"""Tokens of each head in a line."""


def as_json(found: Inspection) -> str:
    """Every number but the maps. ``version`` rises when a field changes its meaning."""
    return json.dumps(
        {
            "version": 1,
            "subject": found.subject,
            "tokens": list(found.words),
            "reach": asdict(found.reach),
            "patterns": [
                {
                    "pattern": each.pattern,
                    "must": each.must,
                    "may": each.may,
                    "claims": [{"claim": one.text, "status": one.status.value} for one in each.results],
                }
                for each in found.extents
            ],
            "layers": [
                {
                    "layer": layer.index,
                    "module": layer.name,
                    "pattern": layer.pattern,
                    "gates": layer.gates,
                    "dispatch": asdict(layer.dispatch),
                    "uses": [round(share, 6) for share in layer.uses.tolist()],
                    "heads": [asdict(head) for head in layer.heads],
                }
                for layer in found.layers
            ],
        },
        indent=2,
    )


def text(found: Inspection, paint: Paint) -> str:
    return "\n".join(_lines(found, paint))


def _lines(found: Inspection, paint: Paint) -> Iterator[str]:
    yield paint(found.subject, "bold") + f" over {len(found.words):,} tokens"
    for extent in found.extents:
        bounds = f"{extent.must:.2%} of the pairs whatever is chosen, {extent.may:.2%} could"
        yield f"  {extent.pattern} guarantees {bounds}"
        for result in extent.results:
            because = f": {result.explanation}" if result.explanation else ""
            yield f"    {result.status.value.upper():8} {result.text}{because}"
    yield from reach_lines(found.reach)
    yield ""
    head = ("layer", "head", "density", "chosen", "summaries", "entropy", "even", "tokens chosen by most queries")
    rows = [_row(layer, one, found.words) for layer in found.layers for one in layer.heads]
    yield from table(head, rows, paint)
    yield from _ways(found.layers)
    for layer in found.layers:
        for gate, factors in layer.gates.items():
            yield f"  layer {layer.index}: {gate} by head: {' '.join(f'{factor:.2f}' for factor in factors)}"


def _ways(layers: tuple[LayerReading, ...]) -> Iterator[str]:
    """``selections ran as lists in layers 0 2, as dense in layers 1``, of layers that selected or summarised."""
    ran: dict[str, list[int]] = {}
    for layer in layers:
        if any(head.chosen or head.summaries for head in layer.heads):
            ran.setdefault(layer.dispatch.way, []).append(layer.index)
    if ran:
        yield "  selections ran " + ", ".join(f"as {way} in layers {' '.join(map(str, of))}" for way, of in ran.items())


def reach_lines(reach: Reach) -> Iterator[str]:
    """How far all layers carry, guaranteed, possible, and here."""
    yield f"  through all layers, over {reach.length} tokens:"
    named = (("guaranteed", reach.guaranteed), ("possible", reach.possible), ("in this text", reach.here))
    for words, (share, layers) in named:
        yield f"    {words:12} {share:.2%} of the pairs are connected, the last after {layers} layers"


def _row(layer: LayerReading, head: HeadReading, words: tuple[str, ...]) -> tuple[str, ...]:
    chosen = (f"{shown(words[token.position])} at {token.position} {token.share:.0%}" for token in head.tokens[:_NAMED])
    return (
        str(layer.index),
        str(head.head),
        f"{head.density:.2%}",
        f"{head.chosen:.2%}",
        f"{head.summaries:.1f}",
        "" if head.entropy is None else f"{head.entropy:.2f}",
        "" if head.evenness is None else f"{head.evenness:.2f}",
        ", ".join(chosen),
    )


def shown(word: str) -> str:
    """A token as one word: its spaces and ends of lines are seen."""
    return repr(word)
