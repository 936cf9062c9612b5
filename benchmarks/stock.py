"""Stock patterns, by part of their names."""

from __future__ import annotations

from collections.abc import Iterator

import patternc as pc
from patternc.library import names


def stock(parts: str | None) -> Iterator[tuple[str, pc.Pattern]]:
    """(name, pattern with its defaults) of all patterns whose name contains one of the parts, which commas separate;
    None: of all."""
    chosen = parts.split(",") if parts else [""]
    for file in names():
        for name, unbound in pc.load(f"library:{file}").patterns.items():
            if any(part in name for part in chosen):
                yield name, unbound.bind()
