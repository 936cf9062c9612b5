"""An inspection as one HTML file: the text with its heat, layer by layer, and a map for each head."""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ...compiler.report.page import render
from ...compiler.report.palette import STEPS, blend, channels
from ...compiler.report.picture import encode_png
from .inspect import Inspection
from .layer import LayerReading
from .text import reach_lines, shown

_ZOOM = 2
_GAP = 4
"""Pixels between the maps of a sheet."""

_SHADES = 64

_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{ subject }}</title>
<style>
body { font-family: sans-serif; color: {{ ink }}; background: {{ paper }}; max-width: 70em; margin: 2em auto; }
td, th { padding: 0.2em 0.8em 0.2em 0; vertical-align: top; text-align: left; }
img { image-rendering: pixelated; border: 1px solid {{ ink }}; }
.text { font-family: monospace; white-space: pre-wrap; line-height: 1.5; padding: 0.5em; border: 1px solid #cccccc; }
.proved, .checked { color: #006b4a; } .refuted { color: #b02a00; } .unknown { color: #8a6000; }
</style>
</head>
<body>
<h1>{{ subject }}</h1>
<p>{{ words | length }} tokens.</p>
<h2>What is guaranteed, and what is only possible</h2>
{%- for extent in extents %}
<p><b>{{ extent.pattern }}</b>: {{ "%.2f" | format(100 * extent.must) }}% of the pairs attend whatever is chosen,
{{ "%.2f" | format(100 * extent.may) }}% under some choice.</p>
<table>
{%- for result in extent.results %}
<tr><td class="{{ result.status }}">{{ result.status | upper }}</td><td><code>{{ result.text }}</code></td>
<td>{{ result.explanation }}</td></tr>
{%- endfor %}
</table>
{%- endfor %}
<pre>{{ reach }}</pre>
{%- for layer in layers %}
<h2>Layer {{ layer.index }}: {{ layer.pattern }}</h2>
<p class="text">
{%- for word, color, share in layer.heat -%}
<span style="background: {{ color }}" title="{{ share }}">{{ word }}</span>
{%- endfor -%}
</p>
{%- for gate, factors in layer.gates %}
<p><code>{{ gate }}</code> by head: {{ factors }}</p>
{%- endfor %}
<table>
<tr><th>head</th><th>pairs that are read</th><th>density</th><th>chosen</th><th>summaries</th><th>entropy</th>
<th>even</th><th>tokens chosen by most queries</th></tr>
{%- for head in layer.heads %}
<tr><td>{{ head.number }}</td><td><img alt="queries down, keys across" src="{{ head.map }}"></td>
<td>{{ head.density }}</td><td>{{ head.chosen }}</td><td>{{ head.summaries }}</td><td>{{ head.entropy }}</td>
<td>{{ head.evenness }}</td><td>{{ head.tokens }}</td></tr>
{%- endfor %}
</table>
{%- endfor %}
</body>
</html>
"""


def page(found: Inspection) -> str:
    """Raises ReportUnavailable without jinja2."""
    return render(
        _TEMPLATE,
        subject=found.subject,
        words=found.words,
        extents=found.extents,
        reach="\n".join(reach_lines(found.reach)),
        layers=[_layer(layer, found.words) for layer in found.layers],
    )


def sheet(found: Inspection) -> bytes:
    """The maps as a PNG: a layer in each row, a head in each column."""
    rows = [[_pixels(each) for each in layer.maps] for layer in found.layers]
    side, columns = rows[0][0].shape[0], max(map(len, rows))
    step = side + _GAP
    whole = np.full((len(rows) * step - _GAP, columns * step - _GAP, 3), 224, dtype=np.uint8)
    for y, maps in enumerate(rows):
        for x, one in enumerate(maps):
            whole[y * step : y * step + side, x * step : x * step + side] = one
    return encode_png(whole)


def _layer(layer: LayerReading, words: tuple[str, ...]) -> dict[str, object]:
    most = max(float(layer.uses.max()), 1e-12)
    heat = [
        (word, blend(STEPS[1], 0.8 * share / most), f"{share:.1%} of queries and heads chose it")
        for word, share in zip(words, layer.uses.tolist(), strict=True)
    ]
    heads = [
        {
            "number": head.head,
            "map": "data:image/png;base64," + base64.b64encode(encode_png(_pixels(one))).decode(),
            "density": f"{head.density:.2%}",
            "chosen": f"{head.chosen:.2%}",
            "summaries": f"{head.summaries:.1f}",
            "entropy": "" if head.entropy is None else f"{head.entropy:.2f}",
            "evenness": "" if head.evenness is None else f"{head.evenness:.2f}",
            "tokens": ", ".join(f"{shown(words[each.position])} {each.share:.0%}" for each in head.tokens),
        }
        for head, one in zip(layer.heads, layer.maps, strict=True)
    ]
    gates = [(gate, " ".join(f"{factor:.2f}" for factor in factors)) for gate, factors in layer.gates.items()]
    return {"index": layer.index, "pattern": layer.pattern, "heat": heat, "gates": gates, "heads": heads}


def _pixels(shares: Tensor) -> npt.NDArray[np.uint8]:
    """[cells, cells] of shares in [0, 1] as RGB; what is read at all is seen."""
    ramp = [
        channels(blend(STEPS[0], 0.0 if shade == 0 else 0.2 + 0.8 * shade / _SHADES)) for shade in range(_SHADES + 1)
    ]
    colors = np.array(ramp, dtype=np.uint8)
    places = np.ceil(shares.numpy() * _SHADES).clip(0, _SHADES).astype(np.int64)
    pixels: npt.NDArray[np.uint8] = colors[places].repeat(_ZOOM, axis=0).repeat(_ZOOM, axis=1)
    return pixels
