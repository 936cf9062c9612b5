"""What is said of a plan."""

from __future__ import annotations

import json

import patternc as pc
from patternc.compiler.explain import explain_plan
from patternc.compiler.report import plan_account
from patternc.compiler.report.palette import Paint

TEXT = """
pattern fixed(l: int = 4, c: int = 1) causal { step block(l) step fixed(l, c) | self }
pattern window(w: int = 3) causal { step local(w) }
plan all { layers all : fixed interleaved }
plan deep { layers 0..3 : window layers 4, 6 : fixed(l = 8) merged layers 7 heads 0 : window layers 7 heads 1 : dense }
"""


def test_phases_and_periods() -> None:
    found = explain_plan(pc.loads(TEXT).plans["all"], 64)
    assert found.depth is None and found.total_cache is None
    assert [(phase.start, phase.hops and phase.hops.proved) for phase in found.phases] == [(0, 2), (1, 3)]
    assert [layers.cache and layers.cache.at for layers in found.layers] == [4, 16]


def test_layers_caches_and_depth() -> None:
    found = explain_plan(pc.loads(TEXT).plans["deep"], 64)
    assert found.depth == 8
    assert [(layers.first, layers.last) for layers in found.layers] == [(0, 3), (4, 4), (5, 5), (6, 6), (7, 7)]
    assert found.layers[2].patterns == ()
    at = [layers.cache.at if layers.cache else 0 for layers in found.layers]
    assert at == [3, 15, 0, 15, 64]
    assert found.total_cache == 4 * 3 + 15 + 15 + 64
    assert found.phases[0].hops is not None and found.phases[0].hops.proved == 5
    text = plan_account.text(found, Paint(False))
    assert "the model's own" in text and "window(w = 3) + dense" in text
    assert json.loads(plan_account.as_json(found))["total_cache"] == found.total_cache


def test_what_the_heads_of_each_layer_compute_of_dense_scores() -> None:
    """Of 1,024 tokens, of which a dense causal kernel computes 36 tiles of 128 x 128, or 136 of 64 x 64: of both blocks
    of a row 15, and of a block by itself three of four in smaller tiles."""
    text = """
    pattern wide causal { step { (i, j) : i div 128 - j div 128 <= 1 } step block(128) }
    pattern blocks causal { step block(128) }
    pattern hot causal { learn h = topk_blocks(k = 2, block = 64) step select(h) | self }
    plan p { layers 0..1 : wide interleaved layers 2 heads 0 : blocks layers 2 heads 1 : wide layers 3 : hot }
    """
    found = explain_plan(pc.loads(text).plans["p"], 1024)
    both, block = 15 / 36, 24 / 136
    assert [layers.scores for layers in found.layers] == [(both,), (block,), (block, both), (None,)]
    shown = plan_account.text(found, Paint(False))
    assert "41.7%" in shown and "17.6% + 41.7%" in shown and "not counted" in shown
    assert json.loads(plan_account.as_json(found))["layers"][2]["scores"] == [block, both]


def test_a_phase_that_repeats_another_is_not_shown_twice() -> None:
    found = explain_plan(pc.loads(f"{TEXT} plan same {{ layers 0..5 : window }}").plans["same"], 16)
    assert len(found.phases) == 1
