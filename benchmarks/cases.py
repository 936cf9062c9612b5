"""The patterns of benchmarks/attention.py: the stock pattern, and the same mask written a second time by hand.

The formulas are written from the papers for FlexAttention's ``mask_mod``, without a look at what the compiler makes
of the pattern. They are also the oracle: what every contestant is checked against is computed from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

import patternc as pc

Mask = Callable[[Tensor, Tensor], Tensor]
"""(query positions, key positions), integer tensors that broadcast -> bool. For one length."""

FORWARD, BOTH, DECODE = "forward", "forward+backward", "decode"
"""The passes: out without gradients; out and the gradients of q, k and v; one query, the last, against n keys."""

FLEX = "flex"
DENSE = "dense"


@dataclass(frozen=True, slots=True)
class Goal:
    """What was promised of our engine in one pass: seconds at most, or to be ``times`` faster than ``rival``."""

    what: str
    rival: str | None = None
    times: float = 1.0
    milliseconds: float | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """The configuration for which a case's goals were set."""

    device: str
    dtype: str
    batch: int
    heads: int
    head_dim: int
    n: int


CPU = Setting("cpu", "float32", 1, 4, 64, 16_384)
H100 = Setting("cuda", "bfloat16", 1, 32, 128, 65_536)


@dataclass(frozen=True)
class Case:
    """``kind`` and ``numbers`` say the pattern to those who write it in their own terms, as in ``window``, w = 1024.
    ``formula(n, device)`` is the mask for one length. ``block``: the side of FlexAttention's blocks. ``devices``: where
    the case runs unless it is asked for by name."""

    name: str
    file: str
    kind: str
    numbers: dict[str, int]
    formula: Callable[[int, str], Mask]
    goals: dict[Setting, tuple[Goal, ...]] = field(default_factory=dict)
    causal: bool = True
    block: int = 128
    devices: tuple[str, ...] = ("cpu", "cuda")

    def pattern(self) -> pc.Pattern:
        return pc.load(f"library:{self.file}")[self.file].bind(**self.numbers)

    def mask(self, n: int, device: str = "cpu") -> Mask:
        return self.formula(n, device)


def _dense(n: int, device: str) -> Mask:
    return lambda i, j: j <= i


def _everything(n: int, device: str) -> Mask:
    return lambda i, j: (j >= 0) & (i >= 0)


def _strided(n: int, device: str) -> Mask:
    return lambda i, j: (j <= i) & ((i - j < 128) | ((i - j) % 128 == 0))


def _fixed(n: int, device: str) -> Mask:
    return lambda i, j: (j <= i) & ((i // 128 == j // 128) | (j % 128 >= 120))


def _window_1024(n: int, device: str) -> Mask:
    return lambda i, j: (j <= i) & (i - j < 1024)


def _window_4096(n: int, device: str) -> Mask:
    return lambda i, j: (j <= i) & (i - j < 4096)


def _streaming(n: int, device: str) -> Mask:
    return lambda i, j: (j <= i) & ((j < 4) | (i - j < 1024))


def _longformer(n: int, device: str) -> Mask:
    return lambda i, j: ((i - j <= 512) & (j - i <= 512)) | (i == 0) | (j == 0)


def _block_longformer(n: int, device: str) -> Mask:
    return lambda i, j: ((i // 64 - j // 64 <= 1) & (j // 64 - i // 64 <= 1)) | (i < 64) | (j < 64)


def _bigbird(n: int, device: str) -> Mask:
    """A window of 3 blocks of 64, first and last block global, and 3 blocks at random: which ones, the seed says."""
    last = -(-n // 64) - 1
    table = drawn_blocks(last + 1, 3).to(device)

    def mask(i: Tensor, j: Tensor) -> Tensor:
        a, b = i // 64, j // 64
        near = (a - b <= 1) & (b - a <= 1)
        return near | (a == 0) | (b == 0) | (a == last) | (b == last) | table[a, b]

    return mask


def drawn_blocks(blocks: int, count: int, seed: int = 0) -> Tensor:
    """bool [blocks, blocks], for each query block the ``count`` blocks of the least hash, among all.

    The draw is data, not a formula: three rounds of SplitMix64 over (seed, query block, key block), written again here
    on torch's wrapping 64-bit integers.
    """
    query = torch.arange(blocks)[:, None]
    key = torch.arange(blocks)[None, :]
    mixed = _split_mix(_split_mix(_split_mix(torch.tensor(seed)) ^ query) ^ key)
    # Unsigned order on signed integers: the top bit flipped. Ties go to the lesser number.
    chosen = (mixed ^ torch.iinfo(torch.int64).min).argsort(dim=1, stable=True)[:, :count]
    return torch.zeros(blocks, blocks, dtype=torch.bool).scatter_(1, chosen, True)


def _split_mix(x: Tensor) -> Tensor:
    z = x + _signed(0x9E3779B97F4A7C15)
    z = (z ^ _shift(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shift(z, 27)) * _signed(0x94D049BB133111EB)
    return z ^ _shift(z, 31)


def _shift(z: Tensor, bits: int) -> Tensor:
    """To the right, with zeros coming in."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


DENSE_CAUSAL = Case("dense", "dense", "dense", {}, _dense)
DENSE_BIDIRECTIONAL = Case("dense_bidirectional", "dense_bidirectional", "dense", {}, _everything, causal=False)


def without_pattern(case: Case) -> Case:
    """What a model computes that knows no pattern: the rival of all."""
    return DENSE_CAUSAL if case.causal else DENSE_BIDIRECTIONAL


CASES = (
    Case(
        "local(128) | strided(128)",
        "strided_factorized",
        "strided",
        {"l": 128},
        _strided,
        {
            CPU: (Goal(FORWARD, DENSE, 10), Goal(FORWARD, FLEX, 40), Goal(BOTH, DENSE, 6)),
            H100: (Goal(BOTH, milliseconds=9),),
        },
    ),
    Case(
        "fixed_factorized(128, 8)",
        "fixed_factorized",
        "fixed",
        {"l": 128, "c": 8},
        _fixed,
        {CPU: (Goal(FORWARD, DENSE, 6), Goal(FORWARD, FLEX, 35)), H100: (Goal(BOTH, milliseconds=23),)},
    ),
    Case(
        "sliding_window(1024)",
        "sliding_window",
        "window",
        {"w": 1024},
        _window_1024,
        {CPU: (Goal(FORWARD, FLEX),)},
        devices=("cpu",),
    ),
    Case(
        "sliding_window(4096)",
        "sliding_window",
        "window",
        {"w": 4096},
        _window_4096,
        {H100: (Goal(FORWARD, FLEX), Goal(BOTH, FLEX))},
        devices=("cuda",),
    ),
    Case(
        "bigbird(64)",
        "bigbird",
        "bigbird",
        {"b": 64, "w": 3, "r": 3},
        _bigbird,
        {H100: (Goal(BOTH, milliseconds=8),)},
        causal=False,
        block=64,
    ),
    Case(
        "longformer(512)",
        "longformer",
        "longformer",
        {"w": 512},
        _longformer,
        causal=False,
    ),
    Case("streaming(4, 1024)", "streaming", "streaming", {"sink": 4, "w": 1024}, _streaming),
    Case(
        "deepspeed_bslongformer(64)",
        "deepspeed_bslongformer",
        "block_longformer",
        {"block": 64, "window": 3},
        _block_longformer,
        causal=False,
        block=64,
    ),
    DENSE_CAUSAL,
)
