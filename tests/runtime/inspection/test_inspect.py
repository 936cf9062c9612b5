"""What is said of a text, against counts one by one and against cases that are known."""

from __future__ import annotations

import json
import math
import struct
import zlib

import numpy as np
import pytest
import torch
from learned_models import attached, pattern, plan
from learned_oracle import gate_of
from runtime_models import make

import patternc as pc
from patternc.compiler.report.palette import Paint
from patternc.runtime.errors import AttachError
from patternc.runtime.inspection.inspect import inspect
from patternc.runtime.inspection.page import page, sheet
from patternc.runtime.inspection.text import as_json, text

N = 20
WORDS = [f"w{place}" for place in range(N)]


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (N,)).tolist()


def look(handle, tokens, **options):
    return inspect(handle, tokens, WORDS, subject="a pattern", **options)


def test_every_number_of_a_layer_is_what_counting_gives(tokens):
    """blocks: local(2) and three blocks of two tokens, the first and the own forced among them."""
    model, handle = attached("llama", "blocks")
    found = look(handle, tokens)
    with handle.watch() as seen, torch.no_grad():
        model(torch.tensor([tokens]), use_cache=False)
    for layer in found.layers:
        selection = seen[layer.index].selections["b"]
        reached = np.zeros((N, N), dtype=bool)
        used = np.zeros(N)
        for head in layer.heads:
            read, by_key = 0, [0] * N
            for i in range(N):
                for j in range(i + 1):
                    chosen = gate_of(selection, "select", 0, head.head, 6, i, j) is not None
                    read += chosen or i - j < 2
                    reached[i, j] |= chosen or i - j < 2
                    by_key[j] += chosen and i - j >= 2 and j >= 2 and i // 2 != j // 2
            pairs = N * (N + 1) / 2
            assert head.density == pytest.approx(read / pairs)
            assert head.chosen == pytest.approx(sum(by_key) / pairs) and head.chosen > 0
            p = [count / sum(by_key) for count in by_key if count]
            assert head.entropy == pytest.approx(-sum(each * math.log(each) for each in p))
            assert head.evenness == pytest.approx(head.entropy / math.log(N))
            shares = [count / (N - j) for j, count in enumerate(by_key)]
            used += shares
            best = sorted(range(N), key=lambda j, shares=shares: -shares[j])
            assert [token.position for token in head.tokens] == [j for j in best if shares[j]][:8]
            assert head.summaries == 0
        assert np.array_equal(layer.pairs.numpy(), reached)
        np.testing.assert_allclose(layer.uses.numpy(), used / 6, rtol=1e-5)
        assert layer.maps.shape == (6, N, N) and layer.maps.amax() == 1


def test_summaries_and_gates(tokens):
    _, handle = attached("llama", "mixed")
    gates = handle.learned[0].learned.gates[0]
    found = look(handle, tokens)
    [layer, *_] = found.layers
    assert layer.gates["gated local(3)"] == pytest.approx(torch.sigmoid(gates.logits).tolist(), abs=1e-6)
    # Query i reads the summaries of 4 tokens that end with it or before.
    assert {head.summaries for head in layer.heads} == {sum((i + 1) // 4 for i in range(N)) / N}
    assert all(layer.pairs[i, j] for i in range(N) for j in range(4 * ((i + 1) // 4)))


def test_reach_is_told_apart(tokens):
    """A window alone is sure; three layers of it connect tokens up to 3 * 1 apart."""
    _, handle = attached("llama", "axis")
    for learned in handle.learned.values():
        for parameter in learned.parameters():
            torch.nn.init.zeros_(parameter)  # a logit of 0 chooses nothing
    found = look(handle, tokens)
    near = sum(min(i, 6) + 1 for i in range(N)) / (N * (N + 1) / 2)
    assert found.reach.guaranteed == pytest.approx((near, 3))
    assert found.reach.here == found.reach.guaranteed
    assert found.reach.possible == (1.0, 1)
    [extent] = found.extents
    window = sum(min(i, 2) + 1 for i in range(N)) / (N * (N + 1) / 2)
    assert (extent.must, extent.may) == pytest.approx((window, 1.0))
    assert [head.density for layer in found.layers for head in layer.heads] == pytest.approx([window] * 18)
    assert {head.entropy for layer in found.layers for head in layer.heads} == {None}


def test_layers_without_learned_terms_count_for_reach(tokens):
    model = make("llama")
    handle = pc.attach(model, plan("layers 0 : axis\n layers 1 : dense\n layers 2 heads 0..1 : window"))
    found = look(handle, tokens)
    assert [layer.index for layer in found.layers] == [0]
    assert found.reach.guaranteed == (1.0, 2)
    windows = pc.attach(make("llama"), plan("layers 0 : axis\n layers 1..2 : window"))
    near = sum(min(i, 2 + 3 + 3) + 1 for i in range(N)) / (N * (N + 1) / 2)
    assert look(windows, tokens).reach.guaranteed == pytest.approx((near, 3))


def test_text_json_page_and_sheet(tokens):
    _, handle = attached("llama", "mixed")
    found = look(handle, tokens, layers=[0, 2])
    lines = text(found, Paint(False)).splitlines()
    assert lines[0] == "a pattern over 20 tokens"
    assert sum(line.startswith(("  0      ", "  2      ")) for line in lines) == 12
    assert any("gated local(3) by head: " in line for line in lines)
    assert "  selections ran as lists in layers 0 2" in lines
    data = json.loads(as_json(found))
    assert data["version"] == 1 and data["tokens"] == WORDS and [each["layer"] for each in data["layers"]] == [0, 2]
    assert data["layers"][1]["heads"][5]["density"] == found.layers[1].heads[5].density
    assert data["layers"][1]["dispatch"]["way"] == "lists"
    assert len(data["layers"][0]["uses"]) == N
    html = page(found)
    assert html.count("data:image/png;base64,") == 12 and html.count("<h2>Layer ") == 2
    assert html.count(">w3</span>") == 2
    width, height = struct.unpack(">II", sheet(found)[16:24])
    assert (width, height) == (6 * (2 * N + 4) - 4, 2 * (2 * N + 4) - 4)


def test_gates_alone_select_nothing(tokens):
    subject = pc.loads("pattern p causal { step local(2) | gated strided(3) }")["p"].bind()
    lines = text(look(pc.attach(make("llama"), subject), tokens), Paint(False)).splitlines()
    assert any("gated strided(3) by head: " in line for line in lines)
    assert not any("selections ran" in line for line in lines)


def test_a_map_has_its_pairs_where_they_are(tokens):
    _, handle = attached("llama", "axis")
    for learned in handle.learned.values():
        for parameter in learned.parameters():
            torch.nn.init.zeros_(parameter)
    content = sheet(look(handle, tokens, layers=[1]))
    data = zlib.decompress(content[content.index(b"IDAT") + 4 : content.index(b"IEND") - 8])
    rows = np.frombuffer(data, dtype=np.uint8).reshape(2 * N, -1)[:, 1:].reshape(2 * N, -1, 3)
    blank = (rows[::2, : 2 * N : 2] == 255).all(-1)
    window = pattern("window").mask(N).numpy() & (np.subtract.outer(np.arange(N), np.arange(N)) < 3)
    assert np.array_equal(~blank, window)


def test_words_are_escaped(tokens):
    _, handle = attached("llama", "axis")
    found = inspect(handle, tokens, ["<b>&"] * N, subject="<i>")
    assert "<b>" not in page(found).replace("<b>axis</b>", "") and "&lt;i&gt;" in page(found)


def test_an_encoder(tokens):
    _, handle = attached("bert", "both")
    found = look(handle, tokens)
    assert len(found.layers) == 2 and found.reach.possible == (1.0, 1)
    for layer in found.layers:
        assert layer.maps.shape == (6, N, N)


def test_what_is_refused(tokens):
    handle = pc.attach(make("llama"), pattern("window"))
    with pytest.raises(AttachError, match="has no learned terms: `patternc show`"):
        look(handle, tokens)
    handle.detach()
    _, handle = attached("llama", "axis")
    with pytest.raises(AttachError, match="layer 3 learns nothing; those that do are 0, 1, 2"):
        look(handle, tokens, layers=[0, 3])
