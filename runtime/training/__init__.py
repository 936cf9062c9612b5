"""Training what a pattern learns, beside a model that stays as it is. docs/training.md has the losses."""

from __future__ import annotations

from .calibrate import calibrate as calibrate
from .controls import compare as compare
from .dense_maps import DenseAttention as DenseAttention
from .dense_maps import block_attention as block_attention
from .dense_maps import tile_attention as tile_attention
from .distill import distillation_loss as distillation_loss
from .loop import train as train
from .measure import coverage as coverage
from .measure import density as density
from .objective import Objective as Objective
from .recipe import Mode as Mode
from .recipe import Recipe as Recipe
from .report import ControlRow as ControlRow
from .report import StepRecord as StepRecord
from .report import TrainingReport as TrainingReport
