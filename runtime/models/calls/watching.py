"""What is asked of the learned layers of one attachment for a while: to be dense, to be watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from ...learned.pricing.dispatch import Dispatch
from ...selectors.inputs import Inputs
from ...selectors.selection import Selection


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """One call of a learned layer. What its selectors read is not detached, nor are q and k; the rest has no gradient.

    ``inputs``: what its selectors read, the whole sequence, with q and k before rotary embedding where the model's can
    be undone. q [B, Hq, N, D] and k [B, Hkv, N, D], as attention uses them; ``scale``, and ``softcap`` where scores
    are capped. All of these have the tokens that exist at the front, as many as ``inputs.key.lengths`` says, and 0
    behind. ``spans`` int32 [B, 2]: where they
    stood in the model; None: all exist.

    Of a call with keys in a cache, q has the queries from ``first`` on alone, 0 where the cache had them before, and
    ``inputs`` what the selectors read alone.

    ``selections`` by name; None where the layer ran dense and none were asked for. ``dispatch``: which way they ran;
    None where they did not.
    """

    inputs: Inputs
    q: Tensor
    first: int
    k: Tensor
    scale: float
    softcap: float | None
    selections: Mapping[str, Selection] | None
    spans: Tensor | None
    dispatch: Dispatch | None = None


@dataclass(slots=True)
class Watching:
    """``seen``: where calls are noted, by the number of the layer. ``dense``: the model's own attention runs instead;
    ``select``: what would have been chosen is noted all the same."""

    seen: list[dict[int, Watched]] = field(default_factory=list)
    dense: bool = False
    select: bool = False
