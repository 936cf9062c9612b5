"""A pattern as one HTML file: its text, picture and verdicts. Needs the extra ``report`` (jinja2)."""

from __future__ import annotations

from collections.abc import Sequence

from ..selection import UsageError
from ..verify.result import Result
from .palette import INK, PAPER

_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
body { font-family: sans-serif; color: {{ ink }}; background: {{ paper }}; max-width: 60em; margin: 2em auto; }
pre { background: #f4f4f4; padding: 1em; overflow-x: auto; }
td { padding: 0.2em 1em 0.2em 0; vertical-align: top; }
.proved, .checked { color: #006b4a; } .refuted { color: #b02a00; } .unknown { color: #8a6000; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p>{{ documentation }}</p>
{{ picture | safe }}
<h2>Claims</h2>
<table>
{%- for result in results %}
<tr><td class="{{ result.status }}">{{ result.status | upper }}</td><td><code>{{ result.text }}</code></td>
<td>{% if result.witness %}{{ result.witness }}. {% endif %}{{ result.explanation }}</td></tr>
{%- endfor %}
</table>
<h2>Text</h2>
<pre>{{ text }}</pre>
</body>
</html>
"""


class ReportUnavailable(UsageError):
    """The extra ``report`` is not installed."""


def page(title: str, documentation: str, picture: str, results: Sequence[Result], text: str) -> str:
    """The whole page; ``picture`` is SVG. Raises ReportUnavailable without jinja2."""
    return render(_TEMPLATE, title=title, documentation=documentation, picture=picture, results=results, text=text)


def render(template: str, **values: object) -> str:
    """A page in our colours, its values escaped. Raises ReportUnavailable without jinja2."""
    try:
        from jinja2 import Environment
    except ImportError as error:
        raise ReportUnavailable("HTML needs jinja2: pip install 'patternc[report]'") from error
    environment = Environment(autoescape=True, keep_trailing_newline=True)
    return environment.from_string(template).render(ink=INK, paper=PAPER, **values)
