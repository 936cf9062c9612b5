"""What patterns learn: selectors, gates, and what they mean. docs/selectors.md has the equations."""

from __future__ import annotations

from .budget import constant as constant
from .budget import density_penalty as density_penalty
from .budget import ramp as ramp
from .gates import Gated as Gated
from .granularity import Granularity as Granularity
from .importance import Importance as Importance
from .inputs import Inputs as Inputs
from .layer import LayerShape as LayerShape
from .learned import Learned as Learned
from .learned import build_selector as build_selector
from .pooled import Pooled as Pooled
from .reference import Summaries as Summaries
from .reference import Term as Term
from .reference import gated_attention as gated_attention
from .relaxations.soft_topk import hard_topk as hard_topk
from .relaxations.soft_topk import soft_topk as soft_topk
from .selection import BlockSelection as BlockSelection
from .selection import KeySelection as KeySelection
from .selection import LevelSelection as LevelSelection
from .selection import Selection as Selection
from .selection import SummarySelection as SummarySelection
from .selection import TermGate as TermGate
from .selection import TokenSelection as TokenSelection
from .statistics import describe as describe
from .topk import TopK as TopK
from .topk_blocks import TopKBlocks as TopKBlocks
from .topk_keys import TopKKeys as TopKKeys
