"""What the statements of every kernel have: its signature, the lengths that it speaks of, and loops over ranges."""

from __future__ import annotations

import re
from dataclasses import dataclass

PARAMETERS = """
    {pointers}, {strides}, heads, group, Nq, Nk, query_offset, scale, owner, split_lo, split_hi, turn,
    HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,
    PRECISION: tl.constexpr, PACKED: tl.constexpr, SOFTCAP: tl.constexpr, PACK: tl.constexpr, SPLIT: tl.constexpr,
    ADD: tl.constexpr, ALONE: tl.constexpr
"""
_LENGTHS = ["heads", "group", "Nq", "Nk", "query_offset", "owner", "split_lo", "split_hi", "turn"]
DECORATOR = f"triton.jit(do_not_specialize={_LENGTHS})"


@dataclass(frozen=True, slots=True)
class Lengths:
    """Which lengths a kernel speaks of, and where its queries stand. The forms below name these in <CAPITALS>."""

    names: tuple[str, ...]
    queries: str  # how many there are, as an argument says it
    also: str
    first: str  # physical row of query position 0
    offset: str
    row: str
    first_row: str

    def write(self, form: str) -> str:
        """The form with these lengths."""
        words = {"LENGTHS": ", ".join(self.names), "QUERIES": self.names[0], "KEYS": self.names[-1]}
        words |= {"COUNT": self.queries, "ALSO": self.also, "FIRST": self.first, "OFFSET": self.offset}
        words |= {"ROW": self.row, "FIRST_ROW": self.first_row}
        return re.sub(r"<([A-Z_]+)>", lambda found: words[found.group(1)], form)


_PLACE = "token(c, a, HOLE_period, HOLE_count, HOLE_start)"
SELF = Lengths(("n",), "n", "", "first", "query_offset", f"{_PLACE} + first - query_offset", "first - query_offset")
CROSS = Lengths(("nq", "nk"), "Nq", "nq = Nq", "0 * nq", "0 * nq", _PLACE, "0 * nq")


RANGES = """
for r in range(0, HOLE_ranges):
    pass
"""
TURN = "r, "
FAN = """
for d in range(HOLE_first({turn}{still}, c, T, <LENGTHS>), HOLE_last({turn}{still}, c, T, <LENGTHS>)):
    pass
"""
STEP = "d, "
SHARE = "lo, hi = share(lo, hi, SPLIT)"

# In orders with digits existence is asked of tokens: below n, and within the rows of q.
EXISTS = "exists({}, b, n, HOLE_period, HOLE_count, HOLE_start)"
LAST_ROW = "tl.minimum(Nq, first + {} - query_offset)"
