"""A small layer, its inputs, and selectors built from the language, for the tests of selectors."""

from __future__ import annotations

import torch
from torch import Tensor

import patternc as pc
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.selectors import Inputs, LayerShape, Learned
from patternc.runtime.selectors.dense import written_out

SHAPE = LayerShape(width=12, query_heads=4, key_heads=2, head_dim=6)

USES = {
    "importance": "columns(s)",
    "topk": "columns(s)",
    "topk_blocks": "select(s)",
    "topk_keys": "select(s)",
    "granularity": "refine(s)",
}


def learned(declaration: str, direction: str, *, random: int | None = None) -> Learned:
    """A layer with the one selection ``s`` of that declaration, in float64."""
    kind = declaration.split("(")[0]
    step = "axis(s)" if kind == "importance" and direction != "causal" else USES[kind]
    pattern = pc.loads(f"pattern p {direction} {{ learn s = {declaration} step {step} }}")["p"].bind()
    layer = Learned(pattern, SHAPE, random=random).double()
    # Scorers start near 0, which decides nothing: let these have something to say.
    for name, parameter in layer.named_parameters():
        if "importance" in declaration or "distance" in name:
            torch.nn.init.normal_(parameter)
    return layer.eval()


def layer_inputs(
    n: int, nk: int | None = None, *, batch: int = 2, lengths: list[int] | None = None, key_lengths=None
) -> Inputs:
    """Random float64 inputs; a cross pattern's where ``nk`` is given."""
    hidden = torch.randn(batch, n, SHAPE.width, dtype=torch.float64)
    q = torch.randn(batch, SHAPE.query_heads, n, SHAPE.head_dim, dtype=torch.float64)
    k = torch.randn(batch, SHAPE.key_heads, n if nk is None else nk, SHAPE.head_dim, dtype=torch.float64)
    counts, key_counts = (None if each is None else torch.tensor(each) for each in (lengths, key_lengths))
    if nk is None:
        return Inputs.self_attention(hidden, q, k, counts)
    key_hidden = torch.randn(batch, nk, SHAPE.width, dtype=torch.float64)
    return Inputs.cross(hidden, key_hidden, q, k, counts, key_counts)


def prefix(inputs: Inputs, n: int) -> Inputs:
    """The first n tokens of self attention, copied, so that nothing behind them can be read."""
    q, k, hidden = inputs.query.heads, inputs.key.heads, inputs.query.hidden
    return Inputs.self_attention(*(x[..., :n, :].clone() for x in (hidden, q, k)))


def pairs_of(selection, inputs: Inputs) -> Tensor:
    """bool [B, Hq, Nq, Nk]: the keys that are read one by one."""
    terms, _ = written_out(selection, inputs, inputs.key.heads, inputs.key.heads, SHAPE.query_heads)
    (batch, nq, _), (_, nk, _) = inputs.query.shape, inputs.key.shape
    found = torch.zeros(batch, SHAPE.query_heads, nq, nk, dtype=torch.bool)
    for term in terms:
        gate = torch.zeros(()) if term.log_gate is None else term.log_gate
        found = found | (term.pairs & (gate > -torch.inf))
    return found


def allowed(inputs: Inputs, direction: str) -> Tensor:
    """bool [B, 1, Nq, Nk]: what the direction and the lengths allow."""
    (batch, nq, _), (_, nk, _) = inputs.query.shape, inputs.key.shape
    found = torch.zeros(batch, 1, nq, nk, dtype=torch.bool)
    for element in range(batch):
        rows, columns = int(inputs.query.counts()[element]), int(inputs.key.counts()[element])
        for i in range(rows):
            found[element, 0, i, : min(columns, i + 1) if direction == Direction.CAUSAL else columns] = True
    return found
