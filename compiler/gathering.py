"""What lists of single keys cost in bytes: few queries that share a list gather more than dense attention reads."""

from __future__ import annotations

from collections.abc import Iterator

from ..patterns_dsl.syntax import BoundPattern

DENSE_TILE = 128
"""Queries for which a dense kernel reads the keys once."""

FAR = 4096
"""Lists that take fewer bytes from this length on, or an earlier one, are not remarked on."""

_TILE = 64
"""Queries to a list, where the text says nothing."""


def dear_lists(pattern: BoundPattern) -> Iterator[str]:
    """A sentence for each selection that gathers more bytes than dense attention reads up to a length beyond ``FAR``.

    With k keys in a list that a tile of queries shares, k / tile keys are gathered for each query; a dense tile of 128
    queries reads n keys once, n / 128 for each: fewer from n = 128 k / tile on. What a causal query does not see is
    left out of both. A list of blocks is shared by as many queries as a block has keys.
    """
    for selector in pattern.selectors:
        options = dict(selector.options)
        k, tile = options.get("k"), options.get("tile")
        if selector.kind != "topk_keys" or not isinstance(k, int) or not isinstance(tile, int):
            continue
        if (least := _least_length(k, tile)) > FAR:
            shares = "a query has its own list" if tile == 1 else f"{tile} queries share a list"
            wider = f"; with tile = {_TILE} from n = {_least_length(k, _TILE):,} on" if tile < _TILE else ""
            yield (
                f"`{selector.name}` gathers {k / tile:,.0f} keys for each query, since {shares} of {k:,}: fewer bytes"
                f" than dense attention reads only from n = {least:,} on{wider}"
            )


def _least_length(k: int, tile: int) -> int:
    return -(-DENSE_TILE * k // tile)
