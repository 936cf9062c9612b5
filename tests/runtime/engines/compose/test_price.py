"""What a batch of blocks is said to ask of the CPU."""

from __future__ import annotations

import pytest

from patternc.runtime.engines.compose.plan.tiles import Tiles
from patternc.runtime.engines.compose.pricing.price import Heads, Price, queries_at_once
from patternc.testing.machines import PLAIN

ONE = Price(PLAIN, Heads(batch=1, keys=1, group=1, dim=16), 1)


@pytest.mark.parametrize("rows", [1, 31, 191, 192, 500, 767, 768, 1000, 1024, 1025, 3000])
@pytest.mark.parametrize("keys", [1, 300, 511, 512, 513, 1024, 2500, 4000])
def test_scores_of_a_triangle_are_counted_group_by_group(rows: int, keys: int) -> None:
    """Of queries; each reads whole runs of 512 keys up to the last one that it sees."""
    wanted, size = 0, queries_at_once(rows)
    for query in range(rows):
        sees = min((query // size + 1) * size, rows, keys)
        wanted += min(-(-sees // 512) * 512, keys)
    assert ONE.tiles(Tiles(0, rows, 0, 0, keys, 0, 1), triangle=True).pairs == wanted
