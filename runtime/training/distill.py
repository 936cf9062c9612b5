"""Distillation: what is learned follows what dense attention looks at. The model is frozen, and dense meanwhile.

What chooses a fixed number (``topk``, ``topk_blocks``, ``topk_keys``) learns to rank: KL(dense attention || softmax of
its scores), row by row, over what it is free to choose. What is free in number (``importance``, ``granularity``, gates)
learns what of dense attention is lost by what it leaves out, against a density. Neither needs an engine's gradient or
a hard choice, so that it reaches what was not chosen as well.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from ...compiler.lowering.learned import LearnedProgram, lower_learned
from ...compiler.relations.integer import AnyOf, Predicate
from ..errors import ArgumentError
from ..learned.attention import LearnedAttention
from ..selectors.granularity import Granularity
from ..selectors.importance import Importance
from ..selectors.topk import TopK
from ..selectors.topk_blocks import TopKBlocks
from ..selectors.topk_keys import TopKKeys
from .dense_maps import DenseAttention
from .losses.blocks import block_loss
from .losses.importance import importance_loss
from .losses.keys import key_loss
from .losses.levels import level_loss
from .losses.tokens import token_loss


def distillation_loss(selector: nn.Module, dense: DenseAttention, *, pool: str = "max") -> Tensor:
    """A scalar: in nats for a selector that ranks, a share of dense attention in [0, 1] for one that is free in number;
    0 where nothing is to be chosen. No gradient reaches q, k or what the selector reads. ``pool``, for ``topk_blocks``,
    is that of ``block_attention``. Raises ArgumentError for a selector that has nothing to learn."""
    if not learns(selector):
        found = f"{type(getattr(selector, 'scorer', selector)).__name__} learns nothing"
        raise ArgumentError("selector", found, "distil one with a learned scorer")
    dense = replace(dense, q=dense.q.detach(), k=dense.k.detach(), inputs=dense.inputs.detached())
    match selector:
        case TopKBlocks():
            return block_loss(selector, dense, pool)
        case TopKKeys():
            return key_loss(selector, dense)
        case TopK():
            return token_loss(selector, dense)
        case Importance():
            return importance_loss(selector, dense)
        case Granularity():
            return level_loss(selector, dense)
        case _:
            raise ArgumentError("selector", type(selector).__name__, "distil one that a `learn` line declares")


def learns(selector: nn.Module) -> bool:
    return not getattr(getattr(selector, "scorer", None), "frozen", True)


def free_pairs(layer: LearnedAttention) -> dict[str, Predicate]:
    """For each selection the pairs, over i, j and the lengths, that it decides and no positional term reads."""
    parts = _program(layer).parts
    found: dict[str, tuple[Predicate, ...]] = {}
    for selected in parts.selected:
        if isinstance(selected.source, str):
            found[selected.source] = (*found.get(selected.source, ()), selected.within)
    return {name: each[0] if len(each) == 1 else AnyOf(each) for name, each in found.items()}


def _program(layer: LearnedAttention) -> LearnedProgram:
    if layer.program is not None:
        return layer.program
    bound = layer.pattern.bound  # the reference engine has none
    return lower_learned(bound.union, bound.direction, bound.selectors, bound.name)


def selector_losses(layer: LearnedAttention, dense: DenseAttention, *, pool: str = "max") -> dict[str, Tensor]:
    """The loss of each selector of a layer that learns, over the pairs that are its own to give, by its name."""
    free = free_pairs(layer)
    named = zip(layer.learned.selector_names, layer.learned.selectors.values(), strict=True)
    return {
        name: distillation_loss(selector, replace(dense, within=free[name]), pool=pool)
        for name, selector in named
        if name in free and learns(selector)
    }
