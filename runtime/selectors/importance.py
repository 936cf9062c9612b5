"""``importance``: tokens that all attend to, and tokens that attend to all (Wang et al. 2022, section 3).

One linear scorer per layer reads each token's hidden state by itself, and all heads share what it finds. So nothing of
a token's future can leak, and the number of important tokens is free: a penalty on the density holds it to the budget.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...patterns_dsl.syntax import Direction
from ..errors import ArgumentError
from .gates import check_budget, log_gate, one_gate
from .inputs import HIDDEN, Inputs, Side
from .layer import allowed_pairs
from .selection import TokenSelection

GATES = ("gumbel_sigmoid", "sigmoid")


class ImportanceScorer(nn.Module):
    """Logits of columns, of rows, or of both: near 0 at first, so that nothing is decided yet."""

    frozen = False
    reads = HIDDEN

    def __init__(self, width: int, *, columns: bool = True, rows: bool) -> None:
        super().__init__()
        self.columns = nn.Linear(width, 1) if columns else None
        self.rows = nn.Linear(width, 1) if rows else None
        for layer in (self.columns, self.rows):
            if layer is not None:
                nn.init.normal_(layer.weight, std=1e-3)
                nn.init.zeros_(layer.bias)

    def forward(self, inputs: Inputs) -> tuple[Tensor | None, Tensor | None]:
        """[B, 1, Nk] and [B, 1, Nq], None where there are none."""
        columns, rows = self.columns, self.rows
        of_keys = (
            None
            if columns is None
            else inputs.key.made("columns", 1, lambda known: _logits(columns, inputs.key, known)).mT
        )
        return of_keys, None if rows is None else _logits(rows, inputs.query, 0).mT


def _logits(score: nn.Linear, side: Side, known: int) -> Tensor:
    """[B, tokens, 1], of those from ``known`` on."""
    found: Tensor = score(side.needs("hidden", "importance", score.weight.dtype, known))
    return found


class Importance(nn.Module):
    """``budget`` is the density that training aims at; evaluation takes every token with a positive logit.

    ``gate``: gumbel_sigmoid adds noise in training, sigmoid never does. ``rows(S)`` reads one indicator of a token,
    ``columns(S)`` another; the scorer has those that the pattern reads: an indicator that nobody reads would spend the
    budget, and be taught that what it opens is read. A schedule may set
    ``temperature`` and ``noise``: as long as logits are small beside the noise, training and evaluation choose
    differently often.
    """

    def __init__(
        self,
        direction: Direction,
        scorer: nn.Module,
        *,
        budget: float = 0.1,
        gate: str = "gumbel_sigmoid",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        if gate not in GATES:
            raise ArgumentError("gate", repr(gate), f"choose one of {', '.join(GATES)}")
        check_budget(budget)
        self.direction, self.scorer, self.budget = direction, scorer, budget
        self.gate, self.temperature, self.noise = gate, temperature, 1.0

    def forward(self, inputs: Inputs, generator: torch.Generator | None = None) -> TokenSelection:
        inputs.fit(self.direction, "importance")
        drawn = self.training and self.gate == "gumbel_sigmoid" and not self.scorer.frozen
        noise = self.noise if drawn else 0.0
        columns, rows = self.scorer(inputs)
        if columns is None:
            batch, keys, device = inputs.key.shape
            column = torch.zeros(batch, 1, keys, dtype=torch.bool, device=device)
            column_gate = torch.zeros(column.shape, dtype=rows.dtype, device=device)
        else:
            column, column_gate = self._drawn(columns, inputs.key, noise, generator)
        row, row_gate = (None, None) if rows is None else self._drawn(rows, inputs.query, noise, generator)
        return TokenSelection(
            self.direction,
            torch.where(column, inputs.query.counts()[:, None, None], 0),
            log_gate(column, column_gate),
            row,
            None if row is None or row_gate is None else log_gate(row, row_gate),
            self._density(inputs, column_gate, row_gate),
        )

    def _drawn(
        self, logits: Tensor, side: Side, noise: float, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """(open, gate) of the tokens of a side; those that do not exist are closed."""
        is_open, gate = one_gate(logits, temperature=self.temperature, noise=noise, generator=generator)
        exists = side.exists()[:, None]
        return is_open & exists, gate.masked_fill(~exists, 0.0)

    def _density(self, inputs: Inputs, column: Tensor, row: Tensor | None) -> Tensor:
        """[B, 1]: pairs in a chosen column or row. Each gate is 0 or 1, so the value is what was realised."""
        queries, keys = inputs.query.counts()[:, None, None], inputs.key.counts()[:, None, None]
        place = torch.arange(column.shape[-1], device=column.device)
        if self.direction is Direction.CAUSAL:
            pairs = (column * (queries - place).clamp_min(0)).sum(-1)
            if row is not None:
                pairs = pairs + (row * (place + 1 - column.cumsum(-1))).sum(-1)
        else:
            columns = column.sum(-1, keepdim=True)
            pairs = (columns * queries)[..., 0]
            if row is not None:
                pairs = pairs + (row * (keys - columns)).sum(-1)
        return pairs / allowed_pairs(inputs, self.direction).clamp_min(1)[:, None]
