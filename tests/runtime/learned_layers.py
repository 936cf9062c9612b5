"""Small layers over learned patterns, in float64, and random tensors for them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

import patternc as pc
from patternc.runtime.selectors.inputs import Inputs

HEADS, KEY_HEADS, HEAD_DIM, WIDTH = 4, 2, 6, 10


@dataclass(frozen=True)
class Data:
    """Leaves that require a gradient: q, k, v and the hidden states; of a cross pattern the keys' own, too."""

    q: Tensor
    k: Tensor
    v: Tensor
    hidden: Tensor
    key_hidden: Tensor | None = None

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        return (self.q, self.k, self.v, self.hidden, *([] if self.key_hidden is None else [self.key_hidden]))

    def inputs(self, lengths=None, key_lengths=None) -> Inputs:
        """Lengths as lists, or None."""
        counts, key_counts = (None if each is None else torch.tensor(each) for each in (lengths, key_lengths))
        if self.key_hidden is None:
            return Inputs.self_attention(self.hidden, self.q, self.k, counts)
        return Inputs.cross(self.hidden, self.key_hidden, self.q, self.k, counts, key_counts)


def data(n, nk=None, *, batch=2, dtype=torch.float64) -> Data:
    keys = n if nk is None else nk
    shapes = [(batch, HEADS, n, HEAD_DIM), *[(batch, KEY_HEADS, keys, HEAD_DIM)] * 2, (batch, n, WIDTH)]
    leaves = [torch.randn(shape, dtype=dtype).requires_grad_() for shape in shapes]
    return Data(*leaves, None if nk is None else torch.randn(batch, nk, WIDTH, dtype=dtype).requires_grad_())


def pattern(step: str, direction: str = "causal", learn: str = "") -> pc.Pattern:
    return pc.loads(f"pattern p {direction} {{ {learn} step {step} }}")["p"].bind()


def layer(subject: pc.Pattern, engine: str = "compose", *, dtype=torch.float64, random=None):
    """In evaluation, with parameters far enough from their start that they decide something."""
    found = pc.compile(
        subject,
        heads=HEADS,
        kv_heads=KEY_HEADS,
        head_dim=HEAD_DIM,
        hidden_size=WIDTH,
        dtype=dtype,
        engine=engine,
        random=random,
    )
    found = found.to(dtype).eval()
    for name, parameter in found.named_parameters():
        # A selector of importance starts near 0, a distance at 0, a gate open.
        if parameter.dim() < 2 or "columns" in name or "rows" in name or "distance" in name:
            torch.nn.init.normal_(parameter)
    return found


def same_layer(other, engine: str):
    """The layer under another engine, with the same parameters."""
    found = layer(other.pattern, engine, dtype=other.dtype)
    found.load_state_dict(other.state_dict())
    return found


def slopes(result, given, leaves):
    """Of a loss that touches out and lse both, the gradients of leaves; zeros where there is none."""
    lse = result.lse.masked_fill(result.lse.isneginf(), 0.0)
    loss = (result.out * given).sum() + (lse * given.sum(-1)).sum()
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [torch.zeros_like(x) if each is None else each for x, each in zip(leaves, found, strict=True)]


def close(found, wanted, tolerance=1e-9):
    """Equal to a part of the greatest value; infinities where they are."""
    assert torch.equal(found.isneginf(), wanted.isneginf())
    found, wanted = (x.detach().masked_fill(x.isneginf(), 0.0) for x in (found, wanted))
    error = float((found - wanted).abs().max()) if wanted.numel() else 0.0
    assert error <= tolerance * max(1.0, float(wanted.abs().max()) if wanted.numel() else 0.0), error
