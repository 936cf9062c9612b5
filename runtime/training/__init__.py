"""Training what a pattern learns, beside a model that stays as it is. docs/selectors.md has the losses."""

from __future__ import annotations

from .dense_maps import block_attention as block_attention
from .dense_maps import tile_attention as tile_attention
from .distill import coverage as coverage
from .distill import distillation_loss as distillation_loss
