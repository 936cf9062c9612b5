"""All contestants, ours last."""

from __future__ import annotations

from .contestant import CannotRun as CannotRun
from .contestant import Contestant as Contestant
from .contestant import Prepared as Prepared
from .deepspeed import DeepSpeed
from .dense import Dense
from .expert import Expert
from .flash_attention import FlashAttention
from .flashinfer import FlashInfer
from .flex import Flex
from .natten import Natten
from .ours import Ours

CONTESTANTS: tuple[Contestant, ...] = (
    Dense(),
    Flex(),
    Expert(),
    Natten(),
    FlashInfer(),
    FlashAttention(),
    DeepSpeed(),
    Ours("compose"),
    Ours("triton"),
    Ours("auto"),
)
"""Those that run everywhere first. A library that is not installed is named as such in every result."""
