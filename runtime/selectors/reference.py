"""What gates mean: dense attention with gates, in float64. Every engine that runs selections is tested against it.

With a score s_ij = scale <q_i, k_j>, a gate g_ij and, for a summary of m tokens, its mean key and mean value,

    out_i = sum_j m_j g_ij e^(s_ij) v_j / Z_i        Z_i = sum_j m_j g_ij e^(s_ij)        lse_i = log Z_i

over the keys and summaries that i reads: one softmax. So d log g_ij is the derivative of the score itself, and that of
a gate of many pairs is its sum over them; a common factor of all gates of a row changes lse and not out; a gate of 0 is
the absence of the pair. A query that reads nothing has out 0 and lse -inf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ArgumentError


@dataclass(frozen=True, slots=True)
class Term:
    """Keys read one by one. pairs bool, broadcasts to [B, Hq, Nq, Nk]; log_gate broadcasts to the same, None: all 0.

    A gate per key, query, block or head is one of such a shape that is 1 long where it does not vary.
    """

    pairs: Tensor
    log_gate: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Summaries:
    """Keys [B, Hkv, P, D] and values that stand for many; log_size broadcasts to [B, Hq, Nq, P], the logarithm of how
    many. pairs and log_gate as in ``Term``, with P for Nk. Summary p is of the tokens p * size and on, ``size`` of them
    or what there is."""

    keys: Tensor
    values: Tensor
    log_size: Tensor
    pairs: Tensor
    log_gate: Tensor | None = None
    size: int = 1


def gated_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    terms: Sequence[Term],
    summaries: Sequence[Summaries] = (),
    *,
    scale: float | None = None,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(out [B, Hq, Nq, D], lse [B, Hq, Nq]), both float64, differentiable in q, k, v, gates, summaries and log_size.

    q [B, Hq, Nq, D]; k, v [B, Hkv, Nk, D], finite. scale: D^-1/2 if None; with softcap a scaled score s
    becomes softcap * tanh(s / softcap), before its gate. A pair that several terms hold is one pair:
    it has the gate of the first term that holds it and is not closed there.
    """
    if k.shape[1] == 0 or q.shape[1] % k.shape[1]:
        raise ArgumentError("q", f"{q.shape[1]} heads and {k.shape[1]} key heads", "give a multiple of the key heads")
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    q, k, v = q.double(), _widened(k, q), _widened(v, q)
    logits = [_gated(_scores(q, k, scale, softcap), terms)]
    values = [v]
    for summary in summaries:
        scores = _scores(q, _widened(summary.keys, q), scale, softcap) + summary.log_size.double()
        logits.append(_gated(scores, [Term(summary.pairs, summary.log_gate)]))
        values.append(_widened(summary.values, q))
    return _softmax(torch.cat(logits, -1), torch.cat(values, -2))


def _scores(q: Tensor, k: Tensor, scale: float, softcap: float | None) -> Tensor:
    scores = q @ k.mT * scale
    return scores if softcap is None else softcap * torch.tanh(scores / softcap)


def _gated(scores: Tensor, terms: Sequence[Term]) -> Tensor:
    """Scores plus log-gates, -inf where no term holds the pair."""
    taken = torch.zeros_like(scores, dtype=torch.bool)
    result = torch.full_like(scores, -torch.inf)
    for term in terms:
        gate = torch.zeros((), dtype=scores.dtype) if term.log_gate is None else term.log_gate.double()
        gate = gate.to(scores.device)
        mine = term.pairs & ~gate.isneginf() & ~taken
        # A closed gate must not meet the sum: its derivative there is no number.
        result = torch.where(mine, scores + gate.masked_fill(gate.isneginf(), 0.0), result)
        taken = taken | mine
    return result


def _softmax(logits: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    if logits.shape[-1] == 0:
        return values.new_zeros(*logits.shape[:-1], values.shape[-1]), logits.new_full(logits.shape[:-1], -torch.inf)
    top = logits.detach().amax(-1, keepdim=True)
    weights = torch.exp(logits - top.masked_fill(top.isneginf(), 0.0))
    total = weights.sum(-1, keepdim=True)
    empty = total == 0
    out = weights @ values / total.masked_fill(empty, 1.0)
    lse = (total.masked_fill(empty, 1.0).log() + top)[..., 0]
    return out, lse


def _widened(x: Tensor, q: Tensor) -> Tensor:
    """float64, each key head repeated for the query heads that read it."""
    return x.double().repeat_interleave(q.shape[1] // x.shape[1], dim=1)
