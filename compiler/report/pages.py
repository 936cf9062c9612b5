"""The pages of the diagnostic codes: `patternc check --explain P302`."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources

from ...patterns_dsl.diagnostics.codes import TITLES
from ..selection import UsageError

_ROOT = __package__.split(".", 1)[0]


def page(code: str) -> str:
    """The page of a code, as Markdown. Raises UsageError for a code that does not exist."""
    wanted = code.upper()
    if wanted not in TITLES:
        close = get_close_matches(wanted, TITLES, n=1)
        hint = f"did you mean {close[0]}?" if close else "docs/errors lists them"
        raise UsageError(f"there is no code {code!r}; {hint}")
    return resources.files(_ROOT).joinpath("docs", "errors", f"{wanted}.md").read_text(encoding="utf-8")
