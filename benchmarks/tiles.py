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

Some patterns compute more than 2.5 times what is needed, because that is cheaper by the prices of the compiler
(compiler/passes/program.py). A pair on a diagonal is computed by vector units, at the price of 32 in tiles of
128 x 128, so that of a pattern with few differences the waste could be 1, at a higher price:

neighborhood_2d    a window of 7 x 7 in boxes of 4 x 4 meets 3 x 3 of them: 138 scores for 49 pairs, 2.8 times. Boxes of
                   16 cells are the least that matrix units take. At 5 apiece, masks included (16 x 16 costs 4 times
                   as much per pair as 128 x 128), they cost 690 of the pairs of a large tile; 49 diagonals 1,570
radial_small       frames of 20 tokens, of which far ones have windows of 9: 322 pairs in a band of 1,242 in tiles of
                   64, 3.9 times, at 1.3 apiece 1,630; as diagonals at least 10,300
global_causal      4 sinks and a window of 32, in tiles of 32: 96 scores for 36 pairs, 2.7 times. Tiles of the sinks
                   that are 16 wide have half as many scores, at twice the price

Nothing is timed: these are counts, the same on every machine. Pairs and blocks are counted row by row in numpy, from
the relation, with no help from the passes that are judged.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from record import RESULTS, Target, machine, write

import patternc as pc
from patternc.compiler.explain.cost import cost
from patternc.compiler.relations.membership import membership
from patternc.compiler.relations.settle import Extent
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
    attends = membership(pattern.bound.union, pattern.direction, n, n, Extent.MAY)
    pairs, blocks, queries, keys, read = 0, 0, 0, np.arange(n), np.zeros(n, dtype=np.bool_)
    edges = np.arange(0, n, SIDE)
    for first in edges:
        band = attends(np.arange(first, min(first + SIDE, n)), keys)
        pairs += int(band.sum())
        queries += int(band.any(axis=1).sum())
        read |= band.any(axis=0)
        blocks += int(np.logical_or.reduceat(band.any(axis=0), edges).sum())
    needed = pairs / SIDE**2
    return Row(pattern.name, pairs, needed, max(needed, queries / SIDE, int(read.sum()) / SIDE), ours, blocks, tile)


def as_text(found: Row) -> str:
    counts = f"{found.needed:9.1f} {found.floor:9.1f} {found.ours:9.1f} {found.flex:9}"
    ratios = f"{found.waste:11.2f} {found.above_floor:11.2f}  {found.flex_waste:11.2f}"
    return f"{found.pattern:32} {counts}  {ratios}  {found.tile}"


if __name__ == "__main__":
    main()
