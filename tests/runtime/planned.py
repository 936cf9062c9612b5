"""Patterns whose plans are cut to other lengths."""

from __future__ import annotations

import patternc as pc
from patternc.compiler.passes.program import Program
from patternc.runtime.engines.compose.pricing.price import Heads

RULES = """
from "library:neighborhood" import nearest, shared
from "library:sliding_tile" import window
from "library:star_transformer" import ring
"""
HEADS = Heads(batch=1, keys=2, group=1, dim=16)


def compiled(text: str) -> pc.Compiled:
    """The pattern p of a text after ``RULES``."""
    return pc.compile(pc.loads(RULES + text)["p"].bind(), head_dim=16, engine="compose")


def program(text: str) -> Program:
    found = compiled(text).program
    assert found is not None
    return found
