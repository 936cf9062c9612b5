"""The rules of ``prelude.pat``, which every file may use."""

from __future__ import annotations

from functools import cache
from importlib import resources

from .. import syntax
from ..diagnostics.source import Source
from ..parsing.parse import parse


@cache
def prelude() -> syntax.Module:
    """The parsed prelude."""
    text = resources.files(__package__).joinpath("prelude.pat").read_text(encoding="utf-8")
    return parse(Source("prelude.pat", text))
