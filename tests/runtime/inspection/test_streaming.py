"""Read some queries at a time: the figures of all at once, in the memory of those."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import torch
from largest import Largest
from learned_models import CAUSAL, attached, pattern, terms_of
from learned_oracle import gate_of, summaries_of

from patternc.compiler import bruteforce
from patternc.runtime.inspection import inspect as inspecting
from patternc.runtime.inspection import layer as reading
from patternc.runtime.inspection.cells import Cells
from patternc.runtime.inspection.inspect import inspect

N, HEADS = 70, 6


@pytest.mark.parametrize("name", [*CAUSAL, "both"])
def test_figures_are_those_of_counting(monkeypatch, name):
    """Seven queries at a time, which divide neither the text nor any block; a map's cells are of one token or two."""
    monkeypatch.setattr(reading, "AT_ONCE", 7 * HEADS * N)
    monkeypatch.setattr(inspecting, "_AT_ONCE", 7 * N)
    model, handle = attached("llama" if name != "both" else "bert", name)
    causal = name != "both"
    tokens = torch.randint(3, 97, (N,)).tolist()
    found = inspect(handle, tokens, ["w"] * N, subject="a pattern", layers=[1])
    with handle.watch() as seen, torch.no_grad():
        model(torch.tensor([tokens]), use_cache=False)
    terms, summaries = terms_of(name, seen[1].selections, N)
    [layer] = found.layers
    some = np.zeros((N, N), dtype=bool)
    for head in range(HEADS):
        k = seen[1].k[0, head * seen[1].k.shape[1] // HEADS].double().numpy()
        read, chosen, summarised = np.zeros((N, N), dtype=bool), np.zeros((N, N), dtype=bool), 0
        for i in range(N):
            for j in range(i + 1 if causal else N):
                for mask, selection, use, gates in terms:
                    gate = 0.0 if selection is None else gate_of(selection, use, 0, head, HEADS, i, j)
                    gate = None if gate is None or not mask[i, j] else gate + (0.0 if gates is None else gates[head])
                    if gate is not None and gate > -math.inf:
                        read[i, j] = True
                        chosen[i, j] = selection is not None
                        break
            for selection, _ in summaries:
                summarised += len(list(summaries_of(selection, 0, head, HEADS, i, k, k, N, causal)))
        some |= read
        pairs = N * (N + 1) / 2 if causal else N * N
        assert layer.heads[head].density == pytest.approx(read.sum() / pairs)
        assert layer.heads[head].summaries == pytest.approx(summarised / N)
        if name in ("axis", "tokens", "both"):  # nothing is forced: what is chosen is what no other term has
            uses = chosen.sum(0)
            assert layer.heads[head].chosen == pytest.approx(uses.sum() / pairs) and uses.any()
            p = uses[uses > 0] / uses.sum()
            assert layer.heads[head].entropy == pytest.approx(-(p * np.log(p)).sum())
            shares = uses / (N - np.arange(N) if causal else N)
            best = np.argsort(-shares, kind="stable")[: len(layer.heads[head].tokens)]
            assert [token.position for token in layer.heads[head].tokens] == best.tolist()
            assert [token.share for token in layer.heads[head].tokens] == pytest.approx(shares[best].tolist())
        cells = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(read)[None].double(), 64)[0]
        torch.testing.assert_close(layer.maps[head].double(), cells)
    assert not some[~layer.pairs.numpy()].any()
    if not summaries:
        assert np.array_equal(layer.pairs.numpy(), some)
    must, may = (pattern(name).mask(N, choice=choice).sum() for choice in ("must", "may"))
    allowed = N * (N + 1) // 2 if causal else N * N
    assert (found.extents[0].must, found.extents[0].may) == (float(must) / allowed, float(may) / allowed)


@pytest.mark.parametrize("tokens", [1, 5, 64, 65, 200])
def test_cells(tokens):
    pairs = torch.rand(3, tokens, tokens) < 0.3
    cells = Cells.none(3, tokens, min(tokens, 64), torch.device("cpu"))
    for start in range(0, tokens, 11):
        cells.add(pairs[:, start : start + 11], start)
    torch.testing.assert_close(
        cells.shares().double(), torch.nn.functional.adaptive_avg_pool2d(pairs.double(), min(tokens, 64))
    )


@pytest.mark.parametrize("name", ["axis", "blocks", "keys", "levels", "mixed"])
def test_a_layer_is_read_in_the_memory_of_some_queries(monkeypatch, name):
    n = 512
    monkeypatch.setattr(reading, "AT_ONCE", 8 * HEADS * n)
    model, handle = attached("llama", name)
    with handle.watch() as seen, torch.no_grad():
        model(torch.randint(3, 97, (1, n)), use_cache=False)
    with Largest() as largest:
        reading.read_layer(1, "m", handle.learned[1], seen[1], 16)
    assert 8 * HEADS * n <= largest.found < n * n


def test_shares_of_a_pattern_in_the_memory_of_some_rows(monkeypatch):
    n = 1000
    monkeypatch.setattr(inspecting, "_AT_ONCE", 8 * n)
    tracemalloc.start()
    try:
        share = inspecting._share(pattern("axis"), n, "must")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert share == (3 * n - 3) / (n * (n + 1) // 2)
    assert peak < n * n  # one byte for each pair


def test_rows_of_a_product_take_the_tokens_between_some_at_a_time(monkeypatch):
    from patternc import loads

    step = loads("pattern p causal { step (local(3) @ strided(4)) @ local(2) }")["p"].bind().union
    whole = bruteforce.mask(step.expression, step.direction, 40)
    monkeypatch.setattr(bruteforce, "LARGEST_STEP", 40 * 7)
    assert np.array_equal(bruteforce.block(step.expression, step.direction, 40, queries=range(11, 19)), whole[11:19])


@pytest.mark.parametrize("longest", [20, 512])
def test_reach_is_the_same_of_layers_that_are_not_shown(monkeypatch, longest):
    monkeypatch.setattr(inspecting, "LONGEST", longest)
    monkeypatch.setattr(reading, "AT_ONCE", 7 * HEADS * N)
    _, handle = attached("llama", "keys")
    tokens = torch.randint(3, 97, (N,)).tolist()
    every, one = (inspect(handle, tokens, ["w"] * N, subject="p", layers=layers) for layers in (None, [1]))
    assert one.reach == every.reach and one.reach.length == min(longest, N)
    assert [layer.index for layer in one.layers] == [1] and one.layers[0].heads == every.layers[1].heads
