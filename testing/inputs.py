"""Inputs of attention: shapes, strides, data types, padding and the place of the queries. Tensors are made on use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from ..compiler.pattern import Pattern
from ..patterns_dsl.syntax import Direction
from .arguments import LONGEST, lengths

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Dtype = Literal["float32", "bfloat16", "float16", "float64"]
Layout = Literal["contiguous", "tokens first", "features first", "every other token", "one for all heads"]

LAYOUTS: tuple[Layout, ...] = (
    "contiguous", "tokens first", "features first", "every other token", "one for all heads",
)  # fmt: skip
HEAD_DIMS = (16, 8, 24, 32, 40, 64)


@dataclass(frozen=True)
class AttentionInputs:
    """One call of a compiled pattern. q is [batch, heads, queries, head_dim], k and v [batch, key_heads, keys,
    head_dim]; ``spans`` are the keys of each batch element that exist, as half-open ranges; query row r stands at key
    ``query_offset + r``. ``documents`` are the places where packed documents begin, and the end of the last. ``seed``
    is that of the normally distributed values. Of a ``cross`` pattern queries and keys are two sequences."""

    batch: int
    heads: int
    key_heads: int
    queries: int
    keys: int
    head_dim: int
    dtype: Dtype
    layout: Layout
    spans: tuple[tuple[int, int], ...] | None
    query_offset: int
    scale: float | None
    seed: int
    documents: tuple[int, ...] | None = None
    softcap: float | None = None
    cross: bool = False

    @cached_property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """(q, k, v)."""
        import torch  # the strategies alone need none

        generator = torch.Generator().manual_seed(self.seed)
        sides = ((self.heads, self.queries), (self.key_heads, self.keys), (self.key_heads, self.keys))
        q, k, v = (self._laid_out(heads, tokens, generator) for heads, tokens in sides)
        return q, k, v

    @property
    def q(self) -> Tensor:
        return self.tensors[0]

    @property
    def k(self) -> Tensor:
        return self.tensors[1]

    @property
    def v(self) -> Tensor:
        return self.tensors[2]

    @property
    def torch_dtype(self) -> torch.dtype:
        import torch

        found: torch.dtype = getattr(torch, self.dtype)
        return found

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of the call: ``program(*inputs.tensors, **inputs.arguments)``."""
        import torch

        spans = None if self.spans is None else torch.tensor(self.spans, dtype=torch.int32)
        documents = None if self.documents is None else torch.tensor(self.documents, dtype=torch.int32)
        place = {"spans": spans, "query_offset": self.query_offset, "documents": documents}
        return {"scale": self.scale, "softcap": self.softcap, **place}

    @property
    def sequences(self) -> tuple[tuple[int, int, int], ...]:
        """(batch element, first key, end) of each sequence of keys."""
        if self.documents is not None:
            return tuple((0, start, end) for start, end in pairwise(self.documents))
        spans = self.spans or ((0, self.keys),) * self.batch
        return tuple((element, start, end) for element, (start, end) in enumerate(spans))

    def _laid_out(self, heads: int, tokens: int, generator: torch.Generator) -> Tensor:
        """[batch, heads, tokens, head_dim] in the strides of the layout."""
        import torch

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator).to(self.torch_dtype)

        match self.layout:
            case "contiguous":
                return normal(self.batch, heads, tokens, self.head_dim)
            case "tokens first":
                return normal(self.batch, tokens, heads, self.head_dim).transpose(1, 2)
            case "features first":
                return normal(self.batch, heads, self.head_dim, tokens).mT
            case "every other token":
                return normal(self.batch, heads, 2 * tokens, self.head_dim)[:, :, ::2]
            case "one for all heads":
                return normal(self.batch, 1, tokens, self.head_dim).expand(-1, heads, -1, -1)


@st.composite
def _span(draw: DrawFn, keys: int) -> tuple[int, int]:
    """The keys of a batch element that exist: now and then none, which leaves every row without a key."""
    low, high = sorted(draw(st.tuples(st.integers(0, keys), st.integers(0, keys))))
    return (low, low) if draw(st.integers(0, 7)) == 7 else (low, high)


@st.composite
def attention_inputs(
    draw: DrawFn,
    pattern: Pattern | None = None,
    *,
    most: int = LONGEST,
    dtypes: tuple[Dtype, ...] = ("float32",),
    heads: int | None = None,
) -> AttentionInputs:
    """Inputs for a compiled pattern: lengths from 1 to ``most``, groups of heads, any strides, capped scores; padding
    with late queries, packed documents (but for seeded tables) or, for a cross pattern, any number of queries.
    ``heads``: the most query heads, 6 at most in any case."""
    cross = pattern is not None and pattern.direction is Direction.CROSS
    key_heads, group, keys = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(lengths(pattern, most=most))
    if heads is not None:
        group = min(group, heads)
        key_heads = min(key_heads, heads // group)
    # Neither two sequences nor tables that are drawn for each document are packed.
    apart = cross or (pattern is not None and pattern.union.drawn)
    kind = draw(st.sampled_from(["whole", "whole", "late"] if apart else ["whole", "whole", "late", "packed"]))
    batch = 1 if kind == "packed" else draw(st.integers(1, 2))
    queries = keys if kind != "late" else draw(lengths(pattern, most=most) if cross else st.integers(1, keys))
    spans = documents = None
    if kind == "packed":
        inner = draw(st.lists(st.integers(0, keys), max_size=4))
        documents = (0, *sorted(inner), keys)
    elif draw(st.integers(0, 2)) == 2:
        spans = tuple(draw(_span(keys)) for _ in range(batch))
    return AttentionInputs(
        batch=batch,
        heads=key_heads * group,
        key_heads=key_heads,
        queries=queries,
        keys=keys,
        head_dim=draw(st.sampled_from(HEAD_DIMS)),
        dtype=draw(st.sampled_from(dtypes)),
        layout=draw(st.sampled_from(LAYOUTS)),
        spans=spans,
        query_offset=draw(st.integers(0, keys - queries)) if kind == "late" and not cross else 0,
        scale=draw(st.sampled_from([None, 0.3, 1.0, -0.5, 0.0])),
        seed=draw(st.integers(0, 999)),
        documents=documents,
        softcap=draw(st.sampled_from([None, None, 0.8, 30.0])),
        cross=cross,
    )
