"""What a scorer says that it reads is what it reads."""

from __future__ import annotations

import pytest
from selector_layers import layer_inputs, learned

from patternc.runtime.errors import ArgumentError
from patternc.runtime.selectors import Inputs

CASES = {
    "importance(budget = 30%)": {"hidden"},
    "topk(k = 3)": {"hidden"},
    "topk_keys(k = 4, tile = 5)": {"hidden"},
    "topk_blocks(k = 3, block = 4)": {"hidden", "heads"},
    "topk_blocks(k = 3, block = 4, scores = pooled)": {"heads"},
    "granularity(block = 4)": {"heads"},
}


@pytest.mark.parametrize("declaration", list(CASES))
def test_what_is_read(declaration):
    layer, whole = learned(declaration, "causal"), layer_inputs(13)
    assert layer.reads == CASES[declaration]
    parts = {"hidden": (whole.query.hidden, None, None), "heads": (None, whole.query.heads, whole.key.heads)}
    if len(layer.reads) == 1:
        layer.select(Inputs.self_attention(*parts[next(iter(layer.reads))]))
    for what in layer.reads:
        [other] = {"hidden", "heads"} - {what}
        with pytest.raises(ArgumentError, match=f"reads {what}"):
            layer.select(Inputs.self_attention(*parts[other]))


@pytest.mark.parametrize("declaration", list(CASES))
def test_controls_read_nothing(declaration):
    layer, whole = learned(declaration, "causal", random=3), layer_inputs(13)
    assert layer.reads == frozenset()
    layer.select(Inputs.self_attention(whole.query.hidden))
    layer.select(Inputs.self_attention(None, whole.query.heads, whole.key.heads))
