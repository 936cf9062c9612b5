"""The stock patterns: one ``.pat`` file each, whose first pattern has the name of the file."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import resources

from ..patterns_dsl.diagnostics.source import Source
from ..patterns_dsl.parsing.parse import parse


class UnknownPattern(KeyError):
    """No stock pattern has this name."""

    def __init__(self, name: str) -> None:
        close = get_close_matches(name, names(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names())}"
        self.message = f"no stock pattern is called {name!r}; {hint}"
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


@cache
def names() -> tuple[str, ...]:
    """The names of all stock patterns, sorted."""
    files = (entry.name for entry in resources.files(__package__).iterdir())
    return tuple(sorted(file.removesuffix(".pat") for file in files if file.endswith(".pat")))


def text(name: str) -> str:
    """The file of a stock pattern. Raises UnknownPattern."""
    if name not in names():
        raise UnknownPattern(name)
    return resources.files(__package__).joinpath(f"{name}.pat").read_text(encoding="utf-8")


def source(name: str) -> Source:
    """The file of a stock pattern as a source called ``library:NAME``. Raises UnknownPattern."""
    return Source(f"library:{name}", text(name))


def summary(name: str) -> str:
    """The sentence about a stock pattern, with its paper. Raises UnknownPattern."""
    return " ".join((parse(source(name)).documentation or "").split())
