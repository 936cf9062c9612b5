"""Keys that runs of queries read, by lists: the one form in which every selection is computed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from torch import Tensor

from ....compiler.relations.integer import TRUE, Predicate
from .held import Earlier

MadeT = TypeVar("MadeT")


@dataclass(frozen=True, slots=True, eq=False)
class Bounds:
    """Which pairs of a list there are, beside what its entries say. A gate that is -inf leaves its pairs out too.

    ``causal``: only j <= i. ``within``: a predicate over i, j and the lengths. ``earlier``: terms whose pairs are
    theirs. queries and keys int64 [B]: how many exist; ``lengths``: the same of tokens, by the names of the pattern.
    ``first``: the place of the first query that is given, with which the lists' first tile begins.
    """

    queries: Tensor
    keys: Tensor
    causal: bool
    lengths: Mapping[str, Tensor]
    within: Predicate = TRUE
    earlier: tuple[Earlier, ...] = ()
    first: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class KeyLists:
    """For each tile of ``tile`` queries, entries of ``block`` consecutive keys; tile 0: one list for all queries.

    entries int64 [B or 1, G, tiles, slots], -1 in slots that hold none; since and until int64 broadcast to it: the
    queries since <= i < until read the entry. G is 1, the key heads or the query heads. ``rows`` int64 [B, G, R]: the
    queries in this order instead of all, none of them twice, counted from the first that is given.

    Log-gates: ``gate`` of the shape of entries, ``row_gate`` [B, G, R], ``head_gate`` [Hq]. ``keys`` and ``values``
    [B, Hkv, P, D] are read instead of the tokens where they are given, with log_size [B or 1, P] added to the scores.
    ``probe``: these entries take no part; backward says what the gradient of their gates, which are 0, is. ``made``: of
    lists that are the same in every call, what has been made of them.
    """

    bounds: Bounds
    tile: int
    block: int
    entries: Tensor
    since: Tensor | None = None
    until: Tensor | None = None
    rows: Tensor | None = None
    gate: Tensor | None = None
    row_gate: Tensor | None = None
    head_gate: Tensor | None = None
    keys: Tensor | None = None
    values: Tensor | None = None
    log_size: Tensor | None = None
    probe: bool = False
    made: dict[Hashable, Any] | None = None

    def once(self, key: Hashable, make: Callable[[], MadeT]) -> MadeT:
        """What ``make`` makes of the lists, in every call anew unless they stay the same."""
        if self.made is None:
            return make()
        if key not in self.made:
            self.made[key] = make()
        found: MadeT = self.made[key]
        return found

    def learned(self) -> dict[str, Tensor]:
        """The tensors that have a gradient, by name."""
        names = ("gate", "row_gate", "head_gate", "keys", "values")
        return {name: tensor for name in names if (tensor := getattr(self, name)) is not None}

    def having(self, learned: Mapping[str, Any]) -> KeyLists:
        return replace(self, **learned)

    def narrowed(self, first: int, rows: int) -> KeyLists:
        """Of lists that begin with the tile in which they all stand, for the ``rows`` queries from ``first`` on."""
        return replace(self, tile=rows if self.tile else 0, bounds=replace(self.bounds, first=first), made=None)

    @property
    def groups(self) -> int:
        return self.entries.shape[1]
