"""The stock patterns: ``patternc.library.names()``, ``patternc.library.load("longformer")``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .catalogue import names, source

if TYPE_CHECKING:
    from ..compiler.pattern import Module

__all__ = ["load", "names", "source"]


def load(name: str) -> Module:
    """The module of a stock pattern. Raises UnknownPattern."""
    # The compiler reads the catalogue: imported at the top, each would wait for the other.
    from ..compiler.pattern import load

    return load(f"library:{name}")
