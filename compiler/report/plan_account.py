"""The account of a plan as text for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from .explanation import bound_in_words, hops_in_words, table
from .palette import Paint

if TYPE_CHECKING:
    from ..explain import PlanAccount
    from ..explain.plan import Layers


def as_json(account: PlanAccount) -> str:
    """Every number. ``version`` rises when a field changes its meaning."""
    return json.dumps({"version": 1, **asdict(account)}, indent=2)


def text(account: PlanAccount, paint: Paint) -> str:
    """The whole account; caches are counted per key head, scores per query head."""
    return "\n".join(_lines(account, paint))


def _lines(account: PlanAccount, paint: Paint) -> Iterator[str]:
    depth = "all layers" if account.depth is None else f"layers 0..{account.depth - 1}"
    yield paint(f"plan {account.plan} at n = {account.length:,}", "bold") + f", {account.direction}, {depth}"
    if account.total_cache is not None:
        yield f"  KV cache {account.total_cache:,} keys stay live in all layers together, per key head"
    for phase in account.phases:
        which = f"from layer {phase.start}" if len(account.phases) > 1 else "reach"
        words = "the paths are too many to follow" if phase.hops is None else hops_in_words(phase.hops)
        yield f"  {which:8} {words}"
    yield ""
    rows = [(_span(each), _runs(each), str(each.kind), _scores(each), _cache(each)) for each in account.layers]
    yield from table(("layers", "runs", "kind", "scores, of dense", "KV cache of each"), rows, paint)


def _span(layers: Layers) -> str:
    return str(layers.first) if layers.first == layers.last else f"{layers.first}..{layers.last}"


def _runs(layers: Layers) -> str:
    return " + ".join(layers.patterns) or "the model's own"


def _scores(layers: Layers) -> str:
    return " + ".join("not counted" if share is None else f"{share:.1%}" for share in layers.scores)


def _cache(layers: Layers) -> str:
    return "" if layers.cache is None else bound_in_words(layers.cache)
