"""Learned attention the long way: every pair asked of the tables, one query at a time, in NumPy."""

from __future__ import annotations

import numpy as np

from patternc.runtime.selectors.selection import (
    COARSE,
    FINE,
    MEDIUM,
    BlockSelection,
    KeySelection,
    LevelSelection,
    SummarySelection,
    TokenSelection,
)


def number(tensor):
    return float(tensor.detach())


def plain(tensor):
    return tensor.detach().double().numpy()


def gate_of(selection, use, b, h, heads, i, j):
    """The log-gate of a pair under a selection, None where it does not hold the pair."""
    match selection:
        case TokenSelection() if use == "columns":
            g = h * selection.until.shape[1] // heads
            if i < selection.until[b, g, j]:
                return number(selection.column_gate[b, g, j])
        case TokenSelection():
            g = h * selection.rows.shape[1] // heads
            if selection.rows[b, g, i]:
                return number(selection.row_gate[b, g, i])
        case BlockSelection():
            g = h * selection.blocks.shape[1] // heads
            for slot, block in enumerate(selection.blocks[b, g, i // selection.block].tolist()):
                if block == j // selection.block:
                    return number(selection.log_gate[b, g, i // selection.block, slot])
        case KeySelection():
            g, tile = h * selection.keys.shape[1] // heads, i // selection.tile
            if selection.diagonal and i == j:
                return 0.0
            for slot, key in enumerate(selection.keys[b, g, tile].tolist()):
                if key == j and i < selection.until[b, g, tile, slot]:
                    return number(selection.log_gate[b, g, tile, slot])
        case LevelSelection():
            g, at = h * selection.level.shape[1] // heads, (i // selection.block, j // selection.block)
            if selection.level[(b, g, *at)] == FINE:
                return number(selection.log_gate[(b, g, *at)])
    return None


def summaries_of(selection, b, h, heads, i, k, v, length, causal):
    """(key, value, log size, log gate) of each summary that a query reads. k, v [Nk, D] of its key head."""
    if isinstance(selection, SummarySelection):
        g = h * selection.keys.shape[1] // heads
        for p in range(int(selection.counts[b])):
            tokens = slice(p * selection.size, (p + 1) * selection.size)
            assert np.allclose(plain(selection.keys[b, g, p]), k[tokens].mean(0))
            if not causal or i >= tokens.stop - 1:
                yield k[tokens].mean(0), v[tokens].mean(0), np.log(selection.size), 0.0
    if isinstance(selection, LevelSelection):
        g, a = h * selection.level.shape[1] // heads, i // selection.block
        for c in range(selection.level.shape[3]):
            level, gate = int(selection.level[b, g, a, c]), number(selection.log_gate[b, g, a, c])
            if level not in (COARSE, MEDIUM):
                continue
            size = selection.block if level == COARSE else 4
            for start in range(c * selection.block, min(length, (c + 1) * selection.block), size):
                tokens = slice(start, min(length, start + size, (c + 1) * selection.block))
                yield k[tokens].mean(0), v[tokens].mean(0), np.log(tokens.stop - tokens.start), gate


def long_way(q, k, v, terms, summaries, lengths, *, causal, scale):
    """(out, lse). ``terms``: in order, (mask bool [Nq, Nk] at full length, selection or None, use, log gate [Hq] or
    None); ``summaries``: (selection, log gate [Hq] or None)."""
    q, k, v = plain(q), plain(k), plain(v)
    batch, heads = q.shape[:2]
    out, lse = np.zeros_like(q), np.full(q.shape[:3], -np.inf)
    for b in range(batch):
        rows, keys = lengths[b]
        for h in range(heads):
            kh, vh = (x[b, h * x.shape[1] // heads] for x in (k, v))
            for i in range(rows):
                logits, values = [], []
                for j in range(min(i + 1, keys) if causal else keys):
                    for mask, selection, use, head_gate in terms:
                        gate = 0.0 if selection is None else gate_of(selection, use, b, h, heads, i, j)
                        if not mask[i, j] or gate is None:
                            continue
                        gate += 0.0 if head_gate is None else number(head_gate[h])
                        if gate > -np.inf:
                            logits.append(q[b, h, i] @ kh[j] * scale + gate)
                            values.append(vh[j])
                            break
                for selection, head_gate in summaries:
                    for key, value, size, gate in summaries_of(selection, b, h, heads, i, kh, vh, keys, causal):
                        gate += 0.0 if head_gate is None else number(head_gate[h])
                        if gate > -np.inf:
                            logits.append(q[b, h, i] @ key * scale + size + gate)
                            values.append(value)
                if logits:
                    top = max(logits)
                    weights = np.exp(np.array(logits) - top)
                    out[b, h, i] = weights @ np.array(values) / weights.sum()
                    lse[b, h, i] = top + np.log(weights.sum())
    return out, lse
