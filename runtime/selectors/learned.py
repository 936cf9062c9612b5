"""From a pattern's declarations to what one layer learns: a module for each ``learn``, ``gated`` and ``pooled``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...compiler.passes.choices import Use, uses
from ...compiler.relations.settle import GATE, opens
from ...patterns_dsl import syntax
from ...patterns_dsl.syntax import Direction, Expression, Option
from ..errors import ArgumentError
from .gates import Gated
from .granularity import Granularity, GranularityNetwork
from .importance import Importance, ImportanceScorer
from .inputs import Inputs
from .layer import LayerShape
from .pooled import Pooled
from .scoring import control
from .scoring.block_scorers import BlockScorer, MeanScorer
from .scoring.indexer import Indexer, indexer_frequencies
from .selection import Selection, TermGate
from .topk import TokenScorer, TopK
from .topk_blocks import TopKBlocks
from .topk_keys import TopKKeys

if TYPE_CHECKING:
    from ...compiler.pattern import Pattern

Options = Mapping[str, Option]
Uses = frozenset[Use] | None


SELECTOR_SEEDS = 1 << 32
"""Between the seeds of the controls of two selectors of a layer: farther apart than seeds that anyone compares, so that
the control of one seed has no choice in common with that of the next."""


def build_selector(
    declaration: syntax.Selector,
    direction: Direction,
    shape: LayerShape,
    *,
    uses: Uses = None,
    random: int | None = None,
) -> nn.Module:
    """The module of a ``learn`` declaration, with its options, whose values binding has checked. ``uses``: what of it
    the pattern reads; None: all that the direction has. ``random``: a frozen control with that seed, which has the same
    budget and learns nothing."""
    if declaration.kind not in _BUILDERS:
        raise ArgumentError("selector", declaration.kind, f"choose one of {', '.join(_BUILDERS)}")
    return _BUILDERS[declaration.kind](dict(declaration.options), direction, shape, uses, random)


class Learned(nn.Module):
    """All that a pattern learns in one layer. Called on the inputs and values, it gives every selection by its name.

    ``selectors``: in the order of ``selector_names``, those of the ``learn`` lines. ``gates``: by the term as the
    language spells it, as it is stored. ``pools``: by size. Raises ArgumentError where inputs lack what a selector
    reads.
    """

    def __init__(self, pattern: Pattern, shape: LayerShape, *, random: int | None = None) -> None:
        super().__init__()
        bound = pattern.bound
        self.selector_names = tuple(one.name for one in bound.selectors)
        self.selectors = nn.ModuleDict()
        kinds = {one.name: one.kind for one in bound.selectors}
        read = uses(bound.union, kinds)
        for number, one in enumerate(bound.selectors):
            seed = None if random is None else random + SELECTOR_SEEDS * number
            self.selectors[self._free(one.name)] = build_selector(
                one, bound.direction, shape, uses=read.get(one.name), random=seed
            )
        self.gate_names = tuple(one.source for one in opens(bound.union) if one.examples == GATE)
        self.gates = nn.ModuleList(Gated(shape.query_heads) for _ in self.gate_names)
        if random is not None:
            self.gates.requires_grad_(False)
        sizes = sorted(set(_pools(bound.union)))
        self.pools = nn.ModuleDict({str(size): Pooled(bound.direction, size) for size in sizes})

    def forward(self, inputs: Inputs, values: Tensor | None = None) -> dict[str, Selection]:
        """values [B, Hkv, Nk, D], for pooled terms."""
        found = self.select(inputs)
        for size, pool in self.pools.items():
            if values is None:
                raise ArgumentError("values", "missing", f"give the values that pooled({size}) summarises")
            found[f"pooled({size})"] = pool(inputs, values)
        return found

    @property
    def reads(self) -> frozenset[str]:
        """What ``inputs`` must have: ``hidden`` states, ``heads``, both or neither."""
        scorers: list[Any] = [selector.scorer for selector in self.selectors.values()]
        return frozenset[str]().union(*(scorer.reads for scorer in scorers))

    @property
    def summarises(self) -> bool:
        """Whether attention reads summaries of keys and values."""
        return len(self.pools) > 0 or any(isinstance(each, Granularity) for each in self.selectors.values())

    def select(self, inputs: Inputs, first: int = 0) -> dict[str, Selection]:
        """Of each ``learn`` line. Of queries before ``first``, which have chosen already, it leaves the choice out, as
        far as blocks and tiles of all selectors divide; densities are then those of what is left."""
        begin = first - first % self.tile
        named = zip(self.selector_names, self.selectors.values(), strict=True)
        return {name: self._choice(selector, inputs.named(name), begin) for name, selector in named}

    def _choice(self, selector: nn.Module, inputs: Inputs, first: int) -> Selection:
        kept = inputs.key.kept
        if isinstance(selector, Importance):
            found: Selection = selector(inputs)
            return found

        def choose() -> Selection:
            chosen: Selection = selector(inputs, first=first)
            return chosen

        if kept is None or self.training or torch.is_grad_enabled():
            return choose()
        if not isinstance(selector, TopKBlocks | Granularity):
            return choose()  # every key that arrives changes its choice
        last = max(0, inputs.query.shape[1] - 1)
        return kept.chosen(first, last - last % selector.block, choose)

    @property
    def tile(self) -> int:
        """How many queries choose together, at most: of all selectors."""
        return math.lcm(*(getattr(each, "block", getattr(each, "tile", 1)) for each in self.selectors.values()))

    def _free(self, name: str) -> str:
        """The name of a selector as one of a module: torch keeps ``keys``, ``type`` and others for itself."""
        while hasattr(self.selectors, name) or name in self.selectors:
            name += "_"
        return name

    def gate(self, name: str) -> TermGate:
        """The gate of a term. Raises KeyError, listing the gates, for a name that is none."""
        if name not in self.gate_names:
            raise KeyError(f"no gate {name!r}; there are {', '.join(map(repr, self.gate_names)) or 'none'}")
        found: TermGate = self.gates[self.gate_names.index(name)]()
        return found


def _pools(expression: Expression) -> Iterator[int]:
    match expression:
        case syntax.Pooled(_, size):
            yield size
        case syntax.Union(left, right):
            yield from _pools(left)
            yield from _pools(right)
        case syntax.Gated(operand):
            yield from _pools(operand)
        case _:
            return  # a pooled term stands alone or in a union


def _importance(options: Options, direction: Direction, shape: LayerShape, uses: Uses, random: int | None) -> nn.Module:
    """Columns and rows as they are read, but no rows in a causal pattern: there a row is dear, and gathers little."""
    budget, gate = options["budget"], options["gate"]
    assert isinstance(budget, float) and isinstance(gate, str)
    rows = direction is not Direction.CAUSAL and (uses is None or Use.ROWS in uses)
    columns = not rows or uses is None or Use.COLUMNS in uses
    scorer: nn.Module = ImportanceScorer(shape.width, columns=columns, rows=rows)
    if random is not None:
        scorer = control.RandomImportance(random, budget, columns=columns, rows=rows)
    return Importance(direction, scorer, budget=budget, gate=gate)


def _topk(options: Options, direction: Direction, shape: LayerShape, uses: Uses, random: int | None) -> nn.Module:
    k, per, relax = options["k"], options["per"], options["relax"]
    assert isinstance(k, int) and isinstance(per, str) and isinstance(relax, str)
    groups = shape.groups(per)
    scorer = TokenScorer(shape.width, groups) if random is None else control.RandomTokens(random, groups)
    return TopK(direction, scorer, k=k, relax=relax)


def _topk_blocks(
    options: Options, direction: Direction, shape: LayerShape, uses: Uses, random: int | None
) -> nn.Module:
    k, block, forced, relax = (options[name] for name in ("k", "block", "forced", "relax"))
    assert isinstance(k, int) and isinstance(block, int) and isinstance(forced, tuple) and isinstance(relax, str)
    scorer: nn.Module = BlockScorer(shape) if options["scores"] == "learned" else MeanScorer()
    if random is not None:
        scorer = control.RandomBlocks(random, shape.key_heads)
    return TopKBlocks(direction, scorer, k=k, block=block, forced=forced, relax=relax)


def _topk_keys(options: Options, direction: Direction, shape: LayerShape, uses: Uses, random: int | None) -> nn.Module:
    k, tile, forced, relax = (options[name] for name in ("k", "tile", "forced", "relax"))
    assert isinstance(k, int) and isinstance(tile, int) and isinstance(forced, tuple) and isinstance(relax, str)
    turns = () if direction is Direction.CROSS else indexer_frequencies(shape.frequencies)
    scorer = Indexer(shape.width, frequencies=turns) if random is None else control.RandomKeys(random)
    return TopKKeys(direction, scorer, k=k, tile=tile, forced=forced, relax=relax)


def _granularity(
    options: Options, direction: Direction, shape: LayerShape, uses: Uses, random: int | None
) -> nn.Module:
    block, levels, budget = options["block"], options["levels"], options["budget"]
    assert isinstance(block, int) and isinstance(levels, tuple) and isinstance(budget, float)
    scorer: nn.Module = GranularityNetwork(shape, len(levels))
    if random is not None:
        scorer = control.RandomLevels(random, shape.key_heads, levels, budget)
    return Granularity(direction, scorer, block=block, levels=levels, budget=budget)


Builder = Callable[[Options, Direction, LayerShape, Uses, int | None], nn.Module]

_BUILDERS: dict[str, Builder] = {
    "importance": _importance,
    "topk": _topk,
    "topk_blocks": _topk_blocks,
    "topk_keys": _topk_keys,
    "granularity": _granularity,
}
