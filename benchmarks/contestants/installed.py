"""Whether a library can be imported here, and if not, in its own words why not."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec

from patternc.runtime.errors import in_a_line


@cache
def why_not(module: str) -> str | None:
    """None where it can. A library that is there but broken is told from one that is not there."""
    if find_spec(module.partition(".")[0]) is None:
        return "not installed"
    try:
        import_module(module)
    except Exception as error:  # noqa: BLE001  (what a foreign library raises when it is imported is not known)
        return f"installed, but cannot be imported: {in_a_line(error, most=160)}"
    return None
