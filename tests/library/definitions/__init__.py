"""The index sets of all stock patterns, written from the papers and not from the .pat files."""

from __future__ import annotations

from . import choices, grids, layouts, windows
from .choices import CROSS
from .definition import Definition, Mask

DEFINITIONS = {**windows.DEFINITIONS, **layouts.DEFINITIONS, **grids.DEFINITIONS, **choices.DEFINITIONS}

__all__ = ["CROSS", "DEFINITIONS", "Definition", "Mask"]
