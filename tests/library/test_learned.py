"""Every stock pattern with learned terms compiles for a layer and runs, as its text says, forward and backward."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import patternc as pc
from patternc.compiler.relations.settle import opens, pooled
from patternc.library import catalogue
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.errors import CostWarning
from patternc.runtime.selectors.inputs import Inputs

SMALL = {
    "adaptive_span": {"s": 24, "r": 4},
    "adaptive_sparse": {"w": 6, "k": 3},
    "block_sparse": {"k": 2, "b": 8},
    "dsa": {"k": 5},
    "granular": {"block": 8},
    "moba": {"k": 2, "b": 8},
    "nsa": {"k": 3, "b": 8, "s": 4, "w": 6},
    "quest": {"k": 3, "b": 4},
    "seer_attention": {"k": 2, "b": 8},
    "sparsek": {"w": 5, "k": 4},
}
DOCUMENTS = {"packed_documents"}
"""Where documents begin is no layer's to learn."""

HEADS, KEY_HEADS, HEAD_DIM, WIDTH, TOKENS, KEYS = 4, 2, 8, 12, 70, 45
SUBJECTS = [
    (file, name)
    for file in catalogue.names()
    if file not in DOCUMENTS
    for name, pattern in pc.load(f"library:{file}").patterns.items()
    if opens(pattern.bound.union) or pooled(pattern.bound.union)
]


def compiled(file: str, name: str, engine: str):
    pattern = pc.load(f"library:{file}")[name].bind(**SMALL.get(file, {}))
    layer = pc.compile(
        pattern,
        heads=HEADS,
        kv_heads=KEY_HEADS,
        head_dim=HEAD_DIM,
        hidden_size=WIDTH,
        dtype=torch.float64,
        engine=engine,
    )
    layer = layer.double().eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer


def test_a_list_for_each_query_is_warned_of() -> None:
    module, sizes = pc.load("library:dsa"), {"heads": 2, "head_dim": 8}
    with pytest.warns(CostWarning, match=r"pattern 'dsa': `indexer` gathers 2,048 keys .* only from n = 262,144 on"):
        pc.compile(module["dsa"].bind(), **sizes)
    with pytest.warns(CostWarning) as found:
        pc.compile(module["dsa"].bind(), **sizes, engine="reference")
    assert [Path(each.filename).name for each in found] == [Path(__file__).name]  # the line to change
    pc.compile(module["dsa_tiles"].bind(), **sizes)  # warnings are errors here


def test_there_are_some() -> None:
    assert len(SUBJECTS) > 12
    assert {"adaptive_axis", "adaptive_sparse", "granular", "nsa", "dam"} <= {file for file, _ in SUBJECTS}


@pytest.mark.parametrize(("file", "name"), SUBJECTS)
def test_it_runs_as_its_text_says(file: str, name: str) -> None:
    layer, reference = (compiled(file, name, engine) for engine in ("compose", "reference"))
    reference.load_state_dict(layer.state_dict())
    cross = layer.pattern.direction is Direction.CROSS
    keys = KEYS if cross else TOKENS
    shapes = [(1, HEADS, TOKENS, HEAD_DIM), *[(1, KEY_HEADS, keys, HEAD_DIM)] * 2]
    q, k, v = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    hidden = torch.randn(1, TOKENS, WIDTH, dtype=torch.float64)
    key_hidden = torch.randn(1, keys, WIDTH, dtype=torch.float64)
    inputs = Inputs.cross(hidden, key_hidden, q, k) if cross else Inputs.self_attention(hidden, q, k)
    slope = torch.randn(shapes[0], dtype=torch.float64)
    found = []
    for each in (layer, reference):
        out = each(q, k, v, inputs=inputs)
        leaves = (q, k, v, *each.parameters())
        gradients = torch.autograd.grad((out * slope).sum(), leaves, allow_unused=True)
        found.append((out, *(torch.zeros(1) if each is None else each for each in gradients)))
    for mine, wanted in zip(*found, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-9, atol=1e-9)
