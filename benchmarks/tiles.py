"""Scores that the compiled program computes, in tiles of 128 x 128, beside the fewest that its pairs could fill and
beside FlexAttention's.

    python benchmarks/tiles.py [-n 16384] [--patterns strided,longformer]

needed      pairs / (128 x 128): what a program would compute that wastes nothing
floor       the fewest that any program in tiles of 128 x 128 needs, in whatever order: those needed, or one for every
            128 queries that have a key, or for every 128 keys that have a query, whichever is most. A window of 7 keys
            needs a tile per 128 queries, however few of its scores are of use
ours        scores in the tiles of the forward kernels, from their ranges, and on diagonals. Where a program has smaller
            or narrower tiles (``tile``: that of most terms) its scores would fill so many of 128 x 128
flex        blocks of 128 x 128 in the natural order that hold a pair: what a block mask makes FlexAttention compute

Some patterns compute more than 2.5 times what is needed at 65,536 tokens, because that is cheaper by the prices of the
compiler (compiler/passes/program.py), or because nothing better is found. A pair on a diagonal is computed by vector
units, at the price of 32 in tiles of 128 x 128, so that of a pattern with few differences the waste could be 1, at a
higher price:

radial_small       frames of 20 tokens, of which far ones have windows of 9: 322 pairs in a band of 1,242 in tiles of
                   64, 3.9 times, at 1.3 apiece 1,630; as diagonals at least 10,300. By hand: 2.4 times with the far
                   frames in boxes of 4 x 4, in tiles of 16 x 16, at 1.4 times the price
longnet_small      blocks of 64, every second token of blocks of 128, ...: each is a tile of 64, of which causal pairs
longnet_bridged    fill half, or less where a shorter block has some of them: 3.0 times. Narrower keys alone change
                   nothing, for both halves of a block are touched; in tiles of 32 it is 2.1 times, at 1.3 times the
                   price
sliding_tile_map   a window of 3 x 3 x 3 single tokens in planes of 60, of which tiles of 64 meet three whole ones: 14
                   times, as FlexAttention; 27 diagonals and more would be 1.7 times the price. In no order of boxes
                   is it within 2.5: 16 queries in a box of 4 x 2 x 2 have 72 keys between them, 2.7 times 27, even if
                   these were gathered one by one

Nothing is timed: these are counts, the same on every machine. Pairs and blocks are counted exactly (``pairs.py``), from
the relation, with no help from the passes that are judged.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from pairs import counted
from record import RESULTS, Target, machine, write

import patternc as pc
from patternc.compiler.explain.cost import cost
from patternc.library import names
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError

SIDE = 128
MOST_WASTE = 2.5
"""Times as many tiles as are needed that a stock pattern may compute."""


@dataclass(frozen=True, slots=True)
class Row:
    pattern: str
    pairs: int
    needed: float
    floor: float
    ours: float
    flex: int
    tile: str

    @property
    def waste(self) -> float:
        return self.ours / self.needed

    @property
    def above_floor(self) -> float:
        return self.ours / self.floor

    @property
    def flex_waste(self) -> float:
        return self.flex / self.needed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--length", type=int, default=16_384)
    parser.add_argument("--patterns", help="part of the names, separated by commas; all by default")
    parser.add_argument("--out", type=Path, default=RESULTS / "tiles.json")
    options = parser.parse_args()
    where, rows, refused = machine(), [], {}
    chosen = options.patterns.split(",") if options.patterns else [""]
    columns = f"{'needed':>9} {'floor':>9} {'ours':>9} {'flex':>9}  ours/needed  ours/floor  flex/needed  tile"
    print(f"n = {options.length}\n{'pattern':32} {columns}")
    for file in names():
        for pattern in pc.load(f"library:{file}").patterns.values():
            if any(part in pattern.name for part in chosen):
                try:
                    rows.append(row(pattern.bind(), options.length))
                    print(as_text(rows[-1]), flush=True)
                except PatternError as error:
                    refused[pattern.name] = f"{error.diagnostics[0].code}: {error.diagnostics[0].message}"
                    print(f"{pattern.name:32} {refused[pattern.name]}", file=sys.stderr)
    targets = [Target(f"{each.pattern}: tiles / needed", MOST_WASTE, each.waste, False) for each in rows]
    print(*[target.as_text() for target in targets if not target.met], sep="\n")
    print(
        f"{sum(target.met for target in targets)} of {len(targets)} compute at most {MOST_WASTE} times what is needed"
    )
    found = [
        asdict(each) | {"ours/needed": each.waste, "ours/floor": each.above_floor, "flex/needed": each.flex_waste}
        for each in rows
    ]
    write(options.out, "tiles", {"n": options.length, "tile": SIDE}, targets, where, patterns=found, refused=refused)


def row(pattern: pc.Pattern, n: int) -> Row:
    """Raises PatternError for a pattern that is not compiled."""
    price = cost(pattern.bound, n, 64)
    ours, tile = price.tiles * price.tile.pairs / SIDE**2, f"{price.tile.query} x {price.tile.key}"
    found = counted(pattern, n, SIDE)
    needed = found.pairs / SIDE**2
    floor = max(needed, found.queries / SIDE, found.keys / SIDE)
    return Row(pattern.name, found.pairs, needed, floor, ours, found.blocks, tile)


def as_text(found: Row) -> str:
    counts = f"{found.needed:9.1f} {found.floor:9.1f} {found.ours:9.1f} {found.flex:9}"
    ratios = f"{found.waste:11.2f} {found.above_floor:11.2f}  {found.flex_waste:11.2f}"
    return f"{found.pattern:32} {counts}  {ratios}  {found.tile}"


if __name__ == "__main__":
    main()
