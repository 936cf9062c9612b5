"""The statements by which a kernel takes ragged blocks, of which some ranks do not exist, as read expects them.

The loops over ranges leave these out and set a flag for each kind of range; behind them all are taken at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .kernel import Lengths
from .of_keys import EDGES_FULL, EDGES_MASKED
from .of_queries import LAST_KEYS


@dataclass(frozen=True, slots=True)
class Edges:
    """How the ragged blocks of a group of sweeps are told apart, and taken. ``flag``: of some of its ranges, whether
    they have one; ``has``: the same, asked of the block at hand; ``mask``: of a term."""

    window: str
    flag: str
    has: str
    mask: str
    masked: str
    full: str

    def write(self, lengths: Lengths, **parts: str) -> Edges:
        """The forms with these lengths and parts."""
        mask, masked, full = (lengths.write(form) for form in (self.mask, self.masked, self.full))
        for name, part in parts.items():
            masked, full = (form.replace(f"{{{name}}}", part) for form in (masked, full))
        return replace(self, mask=mask, masked=masked, full=full)

    def of_whole_tiles(self, block: str, tile: int) -> Edges:
        """The same where a block is a tile."""
        window, masked, full = (form.replace(block, str(tile)) for form in (self.window, self.masked, self.full))
        return replace(self, window=window, masked=masked, full=full)

    def end(self, flags: Mapping[str, str | None]) -> str:
        """What is done with the ragged blocks of ranges with these flags, each under a mask, or none."""
        parts = [
            " & ".join(
                [*([self.has.format(flag)] if len(flags) > 1 else []), *([self.mask.format(mask)] if mask else [])]
            )
            for flag, mask in flags.items()
        ]
        mask = " | ".join(f"({part})" for part in parts if part)
        form = self.masked if mask else self.full
        return form.replace("{any}", f"({' | '.join(flags)})").replace("{mask}", f"({mask})")


KEY_EDGES = Edges(
    "whole = count // BLOCK_K",
    "HOLE_flag = 0 * whole",
    "({} > 0)",
    "{}(c, a[:, None], b[None, :], <LENGTHS>)",
    LAST_KEYS.replace("{mask}", "{mask} & "),
    LAST_KEYS.replace("{mask}", ""),
)
QUERY_EDGES = Edges(
    "low, high = whole_window(begin, end, owner_ptr, BLOCK_Q)",
    "HOLE_flag = 0 * low",
    "(({} & edge) > 0)",
    "{}(qc, a[None, :], b[:, None], <LENGTHS>)",
    EDGES_MASKED,
    EDGES_FULL,
)
