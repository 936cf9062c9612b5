"""What a selector reads: the two sides of an attention layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...patterns_dsl.syntax import Direction
from ..errors import ArgumentError
from .front import Front
from .kept import Scope

HIDDEN, HEADS, NOTHING = frozenset({"hidden"}), frozenset({"heads"}), frozenset[str]()
"""What a scorer reads of both sides, as its ``reads`` says."""


@dataclass(frozen=True, slots=True)
class Side:
    """The queries, or the keys, of one layer; positions count from 0.

    hidden [B, N, W] enters the layer. heads [B, H, N, D] are its queries (or keys) before rotary embedding: a mean
    over tokens that were turned by different angles would tell little. lengths int [B]: the tokens of each element
    that exist, at the front; None: all of them. What lies behind has no influence, whatever it holds.

    ``arriving``: they come one after the other, and what is decided for a block of them knows none after its first.

    ``front``: both are padded as its spans say instead, and are brought to the front where they are read, ``tokens`` of
    them. ``kept``: of a text that grows, what was made of its complete blocks.
    """

    hidden: Tensor | None = None
    heads: Tensor | None = None
    lengths: Tensor | None = None
    arriving: bool = False
    front: Front | None = None
    tokens: int = 0
    kept: Scope | None = None

    @property
    def shape(self) -> tuple[int, int, torch.device]:
        """(B, N, device)."""
        given = self.hidden if self.hidden is not None else self.heads
        if given is None:
            raise ArgumentError("inputs", "neither hidden states nor heads", "give hidden=, or q= and k=")
        return given.shape[0], given.shape[-2] if self.front is None else self.tokens, given.device

    def counts(self) -> Tensor:
        """int64 [B]: how many tokens exist."""
        batch, n, device = self.shape
        return torch.full((batch,), n, device=device) if self.lengths is None else self.lengths.long()

    def exists(self, first: int = 0) -> Tensor:
        """bool [B, N - first], of the tokens from ``first`` on."""
        _, n, device = self.shape
        return torch.arange(first, n, device=device) < self.counts()[:, None]

    def needs(self, what: str, reader: str, dtype: torch.dtype | None = None, first: int = 0) -> Tensor:
        """``hidden`` or ``heads`` from the token ``first`` on, 0 where no token exists, in the data type of the reader:
        often wider than the model's. ArgumentError where it is missing."""
        tensor = self.hidden if what == "hidden" else self.heads
        if tensor is None:
            given = "hidden= (and key_hidden= in a cross pattern)" if what == "hidden" else "q= and k="
            raise ArgumentError("inputs", f"{reader} reads {what}, which are missing", f"give {given}")
        if self.front is not None:
            tensor = self.front.bring(tensor, tensor.dim() - 2, first=first, count=self.tokens - first)
            return tensor if dtype is None else tensor.to(dtype)
        tensor = tensor[..., first:, :]
        tensor = tensor if dtype is None else tensor.to(dtype)
        if self.lengths is None:
            return tensor
        exists = self.exists(first).view(tensor.shape[0], *[1] * (tensor.dim() - 3), tensor.shape[-2], 1)
        return tensor.masked_fill(~exists, 0.0)

    def made(
        self,
        name: str,
        block: int,
        make: Callable[[int], Tensor],
        *,
        whole: bool = True,
        query: int | None = None,
    ) -> Tensor:
        """[B, ..., blocks, D], something of each block of ``block`` tokens: ``make(first)`` makes it of those from
        ``first`` on, where the others are known. Of a block that is complete it is always the same. Not ``whole``:
        without the last one where that is complete in no element. ``query``: the first of those that it is about, if it
        is about some."""
        if self.kept is None:
            return make(0)
        tokens = self.shape[1]
        return self.kept.made(name, block, -(-tokens // block) if whole else tokens // block, make, query)

    def named(self, name: str) -> Side:
        """For a reader of that name."""
        return self if self.kept is None else replace(self, kept=replace(self.kept, name=name))

    def brought(self) -> Side:
        """The same, with its tensors at the front."""
        if self.front is None:
            return self
        hidden, heads = (
            None if x is None else self.front.bring(x, x.dim() - 2, count=self.tokens)
            for x in (self.hidden, self.heads)
        )
        return Side(hidden, heads, self.lengths, self.arriving)

    def detached(self) -> Side:
        parts = {name: tensor.detach() for name in ("hidden", "heads") if (tensor := getattr(self, name)) is not None}
        return replace(self, **parts)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Both sides. In self attention they are one sequence, the whole of it up to now."""

    query: Side
    key: Side

    @classmethod
    def self_attention(
        cls,
        hidden: Tensor | None = None,
        q: Tensor | None = None,
        k: Tensor | None = None,
        lengths: Tensor | None = None,
    ) -> Inputs:
        """hidden [B, N, W]; q [B, Hq, N, D] and k [B, Hkv, N, D] before rotary embedding; lengths int [B]."""
        inputs = cls(Side(hidden, q, lengths), Side(hidden, k, lengths))
        _check(inputs)
        return inputs

    @classmethod
    def cross(
        cls,
        hidden: Tensor | None = None,
        key_hidden: Tensor | None = None,
        q: Tensor | None = None,
        k: Tensor | None = None,
        lengths: Tensor | None = None,
        key_lengths: Tensor | None = None,
        *,
        arriving: bool = False,
    ) -> Inputs:
        """As ``self_attention``, with keys of another sequence: key_hidden [B, Nk, W], k [B, Hkv, Nk, D].

        ``arriving``: the queries come one after the other, as a decoder's do, and what a block of them reads is decided
        when its first one arrives, as in a causal pattern: no later query changes it."""
        inputs = cls(Side(hidden, q, lengths, arriving), Side(key_hidden, k, key_lengths))
        _check(inputs)
        return inputs

    def fit(self, direction: Direction, reader: str) -> None:
        """Raises ArgumentError where queries and keys differ in number and the direction is not cross."""
        nq, nk = (side.shape[1] for side in (self.query, self.key))
        if direction is not Direction.CROSS and nq != nk:
            remedy = "select over the whole sequence, not over the newest queries alone"
            raise ArgumentError(
                "inputs", f"{nq} queries and {nk} keys for {reader}, which is {direction.value}", remedy
            )

    def named(self, name: str) -> Inputs:
        """For a reader of that name."""
        return Inputs(self.query, self.key.named(name))

    def brought(self) -> Inputs:
        """The same, with the tokens that exist at the front."""
        return Inputs(self.query.brought(), self.key.brought())

    def detached(self) -> Inputs:
        """The same, through which no gradient reaches the model (the indexer of DeepSeek-AI 2025 is trained so)."""
        return Inputs(self.query.detached(), self.key.detached())


def _check(inputs: Inputs) -> None:
    """The tensors of each side agree with each other."""
    for name, side in (("query", inputs.query), ("key", inputs.key)):
        if side.hidden is not None and side.hidden.dim() != 3:
            raise ArgumentError(f"{name} hidden", f"shape {tuple(side.hidden.shape)}", "give [batch, tokens, width]")
        if side.heads is not None and side.heads.dim() != 4:
            remedy = "give [batch, heads, tokens, head_dim]"
            raise ArgumentError(f"{name} heads", f"shape {tuple(side.heads.shape)}", remedy)
        if side.hidden is not None and side.heads is not None and _extent(side.hidden) != _extent(side.heads):
            found = f"hidden {tuple(side.hidden.shape)} beside heads {tuple(side.heads.shape)}"
            raise ArgumentError(name, found, "give both the same batch and the same tokens")
        if side.lengths is not None and (side.lengths.is_floating_point() or side.lengths.shape != (side.shape[0],)):
            found = f"{side.lengths.dtype} {tuple(side.lengths.shape)}"
            raise ArgumentError(f"{name} lengths", found, f"give ints of shape [{side.shape[0]}]")
        _check_values(name, side)


def _check_values(name: str, side: Side) -> None:
    """That so many tokens are there. Asked on a CPU, where that stops no stream, and in no traced graph."""
    if side.lengths is None or side.lengths.device.type != "cpu" or torch.compiler.is_compiling():
        return
    _, tokens, _ = side.shape
    outside = side.lengths[(side.lengths < 0) | (side.lengths > tokens)].tolist()
    if outside:
        raise ArgumentError(f"{name} lengths", f"{outside[0]} of {tokens} tokens", f"give numbers from 0 to {tokens}")


def _extent(tensor: Tensor) -> tuple[int, int]:
    return tensor.shape[0], tensor.shape[-2]
