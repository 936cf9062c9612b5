"""Every stock pattern, with parameters small enough that short sequences have whole, partial and empty tiles."""

from __future__ import annotations

from functools import cache

import torch

import patternc as pc
from patternc.testing.agreement import agree as agree
from patternc.testing.agreement import error as error
from patternc.testing.agreement import results as results

SMALL = {
    "axial": {"width": 8},
    "bigbird": {"b": 8},
    "block_local": {"l": 24},
    "deepspeed_bigbird": {"block": 8},
    "deepspeed_variable": {"block": 8},
    "dilated_window": {"w": 8, "d": 3},
    "fixed_factorized": {"l": 16, "c": 4},
    "logsparse": {"levels": 8},
    "longformer": {"w": 8},
    "prefix_lm": {"p": 20},
    "sliding_window": {"w": 24},
    "streaming": {"sink": 3, "w": 20},
    "strided_factorized": {"l": 12},
    "summary_columns": {"w": 16, "l": 16, "c": 2},
}


@cache
def subjects():
    """(file, pattern, step or None for the union) of the stock files that engines run and that are small here."""
    found = []
    for file in ("dense", *SMALL):
        for name, template in pc.load(f"library:{file}").patterns.items():
            count = len(template.bind(**SMALL.get(file, {})).bound.steps)
            steps = [None] if count == 1 else [None, *range(count)]
            found += [(file, name, step) for step in steps]
    return found


def name_of(subject):
    """Its test id."""
    _, name, step = subject
    return name if step is None else f"{name}.{step}"


def head_dim_of(subject):
    """Powers of two and others, in turn."""
    return (16, 24, 64, 80)[subjects().index(subject) % 4]


def pattern_of(subject):
    file, name, _ = subject
    return pc.load(f"library:{file}").patterns[name].bind(**SMALL.get(file, {}))


def compiled(subject, engine, *, head_dim, dtype=torch.float32, tile=None):
    """The subject under an engine; ``tile`` overrides the tile that compile chooses."""
    from patternc.testing.verify.engines import tiled

    step = subject[2]
    result = pc.compile(pattern_of(subject), step=step, head_dim=head_dim, dtype=dtype, engine=engine)
    return result if tile is None or engine == "reference" else tiled(result, tile)


def tensors(n, *, head_dim, batch=1, heads=3, key_heads=1, rows=None, dtype=torch.float32):
    shapes = [(batch, heads, n if rows is None else rows, head_dim), *[(batch, key_heads, n, head_dim)] * 2]
    return [torch.randn(shape).to(dtype).requires_grad_() for shape in shapes]
