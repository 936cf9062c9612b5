"""q and k before rotary embedding: a mean over tokens that were turned by different angles would tell little.

Each model turns them in its own way, by a function of its own file. Turned by the negative angle they are as before;
whether a layer turns them at all, and so, is tried on two tokens when a pattern is attached.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

FUNCTION = "apply_rotary_pos_emb"


@dataclass(frozen=True, slots=True)
class Turn:
    """``apply(q, k, cos, sin)``, the model's own. ``frequencies``: those of ``turning.turned``, none where others than
    its pairs are turned."""

    apply: Callable[..., tuple[Tensor, Tensor]]
    frequencies: tuple[float, ...] = ()

    def undo(self, q: Tensor, k: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """q and k at least float32. Some models scale cos and sin; that is undone with the angle."""
        cos, sin = (each.to(torch.promote_types(each.dtype, torch.float32)) for each in rotary)
        size = cos.square() + sin.square()
        q, k = (each.to(torch.promote_types(each.dtype, cos.dtype)) for each in (q, k))
        return self.apply(q, k, cos / size, -sin / size)


def find_turn(
    module: nn.Module, turned: tuple[Tensor, Tensor], plain: tuple[Tensor, Tensor], rotary: Any
) -> Turn | None:
    """Of a layer whose (q, k) are ``turned`` with its (cos, sin) and ``plain`` without; None where it does not turn
    them, or in a way that is not undone so: its selectors read q and k as attention does."""
    apply = getattr(sys.modules[type(module).__module__], FUNCTION, None)
    if apply is None or not is_rotary(rotary) or all(map(torch.equal, turned, plain)):
        return None
    turn = Turn(apply, _frequencies(rotary))
    try:
        if not all(map(_same, apply(*plain, *rotary), turned)):
            return None  # something else was done to them
        # In float64, where nothing but the angle is undone: a wide range of numbers hides in the rounding of few bits.
        q, k, cos, sin = (each.double() for each in (*plain, *rotary))
        far_q, far_k = apply(q, k, cos, sin)
        back = turn.undo(far_q, far_k, (cos, sin))
        narrow = _rounds(apply, q * (1 + 2**-40), k, (cos, sin))
    except (TypeError, ValueError, RuntimeError):  # a function of the same name that takes other things
        return None
    return turn if all(_undone(*each, narrow=narrow) for each in zip(back, (q, k), strict=True)) else None


def _frequencies(rotary: tuple[Tensor, Tensor]) -> tuple[float, ...]:
    """Of (cos, sin), each [1, N, R], of tokens one after the other."""
    cos, sin = (each.double().flatten(0, -3)[0] for each in rotary)
    half = cos.shape[-1] // 2
    if len(cos) < 2 or not all(torch.equal(each[:, :half], each[:, half:]) for each in (cos, sin)):
        return ()
    directions = torch.complex(cos, sin)[:2, :half]
    return tuple((directions[1] * directions[0].conj()).angle().tolist())


def is_rotary(rotary: Any) -> bool:
    return isinstance(rotary, tuple) and len(rotary) == 2 and all(isinstance(each, Tensor) for each in rotary)


def identity(rotary: Any) -> Any:
    """(cos, sin) of no angle."""
    if not is_rotary(rotary):
        return rotary
    cos, sin = rotary
    return torch.ones_like(cos), torch.zeros_like(sin)


def _rounds(apply: Callable[..., tuple[Tensor, Tensor]], q: Tensor, k: Tensor, rotary: tuple[Tensor, Tensor]) -> bool:
    """Whether float64 does not come out as it went in, turned by no angle: some make float32 of what they are given."""
    return not all(map(torch.equal, apply(q, k, *identity(rotary)), (q, k)))


def _undone(back: Tensor, x: Tensor, *, narrow: bool) -> bool:
    """Up to a few roundings of each number; where they are float32's, of the largest of its vector, with which it was
    turned."""
    if not narrow:
        return _same(back, x)
    largest = x.abs().amax(-1, keepdim=True)
    return bool(((back - x).abs() <= 16 * torch.finfo(torch.float32).eps * largest).all())


def _same(one: Tensor, other: Tensor) -> bool:
    """Up to a few roundings of each number."""
    tolerance = 16 * torch.finfo(other.dtype).eps
    return bool(torch.allclose(one.double(), other.double(), rtol=tolerance, atol=tolerance))
