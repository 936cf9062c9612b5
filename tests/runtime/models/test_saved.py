"""What was learned, saved and loaded: the same model again, or a clear refusal."""

from __future__ import annotations

import copy
import json

import pytest
import safetensors.torch
import torch
from learned_models import SOURCE, attached, build, pattern, plan, stir
from runtime_models import make, transformers

import patternc as pc
from patternc.runtime.errors import AttachError, SavedError
from patternc.runtime.models.saved.manifest import SavedAttachment

MANIFEST, TEXT, TENSORS = "patternc.json", "patternc.pat", "patternc.safetensors"


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 14))


@pytest.fixture
def saved(tmp_path):
    _, handle = attached("llama", "mixed")
    handle.save(tmp_path / "run")
    return tmp_path / "run"


@torch.no_grad()
@pytest.mark.parametrize(("kind", "name"), [("llama", "mixed"), ("llama", "axis"), ("gpt2", "keys"), ("bert", "both")])
def test_a_loaded_attachment_gives_equal_outputs(tokens, tmp_path, kind, name):
    model, handle = attached(kind, name)
    handle.save(tmp_path)
    again = build(kind)
    other = pc.load_attached(again, str(tmp_path))
    assert torch.equal(again(tokens).logits, model(tokens).logits)
    assert other.subject.bound == handle.subject.bound


@torch.no_grad()
def test_a_plan_its_arguments_and_its_engine(tokens, tmp_path):
    layers = plan("layers 0 : blocks\n layers 1 : dense\n layers 2 : mixed")
    model = make("llama")
    handle = pc.attach(model, layers)
    stir(handle)
    handle.save(tmp_path)
    again = make("llama")
    other = pc.load_attached(again, tmp_path, engine="reference")
    torch.testing.assert_close(again(tokens).logits, model(tokens).logits)
    assert list(other.learned) == [0, 2] and other.learned[0].engine == "reference"


@torch.no_grad()
def test_a_stock_pattern_with_arguments(tokens, tmp_path):
    model = make("llama")
    handle = pc.attach(model, pc.load("library:adaptive_axis")["adaptive_axis_causal"].bind(w=3, density=0.15))
    stir(handle)
    handle.save(tmp_path)
    again = make("llama")
    other = pc.load_attached(again, tmp_path)
    assert torch.equal(again(tokens).logits, model(tokens).logits)
    assert dict(other.subject.bound.arguments) == {"w": 3, "density": 0.15}


@torch.no_grad()
def test_frozen_controls_come_back_by_their_seed(tokens, tmp_path):
    model, handle = attached("llama", "blocks", random=11)
    handle.save(tmp_path)
    again = make("llama")
    other = pc.load_attached(again, tmp_path)
    assert other.random == 11
    assert torch.equal(again(tokens).logits, model(tokens).logits)


@torch.no_grad()
def test_loading_draws_no_random_numbers(saved):
    model = make("llama")
    before = torch.get_rng_state()
    pc.load_attached(model, saved)
    assert torch.equal(torch.get_rng_state(), before)


@torch.no_grad()
def test_beside_the_model_that_save_pretrained_writes(tokens, tmp_path):
    """The model comes back as it is without the pattern; what was learned is loaded from the same folder."""
    model, handle = attached("llama", "mixed")
    model.save_pretrained(tmp_path)
    handle.save(tmp_path)
    expected = model(tokens).logits
    handle.detach()
    again = transformers.LlamaForCausalLM.from_pretrained(tmp_path).eval()
    assert torch.equal(again(tokens).logits, model(tokens).logits)
    assert not any("patternc" in name for name, _ in again.named_modules())
    pc.load_attached(again, tmp_path)
    assert torch.equal(again(tokens).logits, expected)


@torch.no_grad()
def test_a_checkpoint_of_the_whole_state_resumes(tokens):
    """As the Trainer does it: a model with the same pattern attached takes the state dict."""
    model, _ = attached("llama", "mixed")
    state = copy.deepcopy(model.state_dict())
    again = make("llama")
    pc.attach(again, pattern("mixed"))
    again.load_state_dict(state)
    assert torch.equal(again(tokens).logits, model(tokens).logits)


def test_what_is_written_is_data(saved):
    assert sorted(path.name for path in saved.iterdir()) == [MANIFEST, TEXT, TENSORS]
    manifest = SavedAttachment.model_validate_json((saved / MANIFEST).read_text())
    assert manifest.model == "LlamaForCausalLM" and manifest.layer_count == 3 and list(manifest.layers) == [0, 1, 2]
    assert (saved / TEXT).read_text() == SOURCE
    assert len(safetensors.torch.load_file(saved / TENSORS)) == 3 * 5


def edit(folder, change, *, tensors=None):
    """Change the manifest, and what it says of the tensors if they are changed too."""
    content = json.loads((folder / MANIFEST).read_text())
    if tensors is not None:
        from patternc.runtime.artifact import digest

        (folder / TENSORS).write_bytes(safetensors.torch.save(tensors))
        content["tensors"] = digest((folder / TENSORS).read_bytes())
    change(content)
    (folder / MANIFEST).write_text(json.dumps(content))


def refused(folder, match, model=None):
    model = make("llama") if model is None else model
    state = list(model.state_dict())
    with pytest.raises(SavedError, match=match):
        pc.load_attached(model, folder)
    assert list(model.state_dict()) == state and model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("name", [MANIFEST, TEXT, TENSORS])
def test_a_missing_file(saved, name):
    (saved / name).unlink()
    refused(saved, f"{name} is missing")


@pytest.mark.parametrize("name", [TEXT, TENSORS])
def test_a_changed_file(saved, name):
    content = bytearray((saved / name).read_bytes())
    content[-1] ^= 1
    (saved / name).write_bytes(bytes(content))
    refused(saved, f"{name} was changed after it was written")


@torch.no_grad()
def test_an_indexer_that_was_saved_before_it_turned_does_as_it_did(tokens, tmp_path):
    """A folder without the angles is loaded with none, and says so when it is saved again."""
    model, handle = attached("llama", "keys")
    handle.save(tmp_path / "old")
    angle = "learned.selectors.x.scorer.frequencies"
    whole = safetensors.torch.load_file(tmp_path / "old" / TENSORS)
    assert sum(name.endswith(angle) for name in whole) == 3

    def without(content):
        for layer in content["layers"].values():
            del layer["tensors"][angle]

    edit(tmp_path / "old", without, tensors={key: x for key, x in whole.items() if not key.endswith(angle)})
    turning = model(tokens).logits
    for layer in handle.learned.values():
        layer.learned.selectors["x"].scorer.frequencies.zero_()
    expected = model(tokens).logits
    assert not torch.equal(expected, turning)
    again = make("llama")
    other = pc.load_attached(again, tmp_path / "old")
    assert torch.equal(again(tokens).logits, expected)
    other.save(tmp_path / "new")
    third = make("llama")
    pc.load_attached(third, tmp_path / "new")
    assert torch.equal(third(tokens).logits, expected)


def test_another_format(saved):
    edit(saved, lambda content: content.update(schema_version=2))
    refused(saved, "has format 2, and patternc .* reads format 1; load it with the version that wrote it")


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"schema_version": 1}', '{"schema_version": 1, "extra": 0}', "[" * 100_000]
)
def test_what_is_no_manifest(saved, text):
    (saved / MANIFEST).write_text(text)
    refused(saved, "is not the manifest of a saved attachment")


def test_a_pattern_that_is_not_in_the_text(saved):
    edit(saved, lambda content: content.update(name="elsewhere"))
    refused(saved, "does not give the pattern 'elsewhere'")


def test_another_pattern_of_the_text(saved):
    edit(saved, lambda content: content.update(name="axis"))
    refused(saved, "layer 0: pattern mixed there, axis here")


def test_arguments_that_it_does_not_have(saved):
    edit(saved, lambda content: content.update(arguments={"w": "3"}))
    refused(saved, "does not give the pattern 'mixed'")


def test_another_model(saved):
    refused(saved, "class LlamaForCausalLM there, Qwen2ForCausalLM here", make("qwen2"))
    refused(saved, "attention layers 3 there, 2 here", make("llama", num_hidden_layers=2))
    refused(saved, "layer 0: key_heads 2 there, 3 here", make("llama", num_key_value_heads=3))
    refused(saved, "layer 0: width 48 there, 24 here", make("llama", hidden_size=24, head_dim=8))


def test_tensors_that_are_missing_or_too_many_or_of_another_shape(saved):
    name = "layers.1.learned.gates.0.logits"
    whole = safetensors.torch.load_file(saved / TENSORS)
    edit(saved, lambda content: None, tensors={key: x for key, x in whole.items() if key != name})
    refused(saved, f"has no {name}, which the manifest lists")
    edit(saved, lambda content: None, tensors=whole | {"layers.1.more": torch.zeros(1)})
    refused(saved, "has layers.1.more, which the manifest does not list")
    edit(saved, lambda content: None, tensors=whole | {name: torch.zeros(7)})
    refused(saved, rf"{name} is torch.float32 \[7\], and the manifest lists torch.float32 \[6\]")
    edit(saved, lambda content: None, tensors=whole | {name: torch.zeros(6, dtype=torch.float64)})
    refused(saved, f"{name} is torch.float64")


def test_a_manifest_that_agrees_with_its_tensors_and_not_with_the_pattern(saved):
    whole = safetensors.torch.load_file(saved / TENSORS)
    whole["layers.1.learned.gates.0.logits"] = torch.zeros(7)

    def lie(content):
        content["layers"]["1"]["tensors"]["learned.gates.0.logits"]["shape"] = [7]

    edit(saved, lie, tensors=whole)
    refused(saved, r"layer 1 has learned.gates.0.logits of shape \[7\], and patternc .* makes it of shape \[6\]")


def test_what_is_no_safetensors_file(saved):
    from patternc.runtime.artifact import digest

    (saved / TENSORS).write_bytes(b"pickle")
    edit(saved, lambda content: content.update(tensors=digest(b"pickle")))
    refused(saved, "is not a safetensors file")


def test_numbers_that_would_be_rounded(tmp_path):
    _, handle = attached("llama", "blocks", torch.float64)
    handle.save(tmp_path)
    refused(tmp_path, "was saved as torch.float64, which is wider than torch.float32 here")


def test_what_cannot_be_saved(tmp_path):
    _, handle = attached("llama", "blocks")
    handle.detach()
    with pytest.raises(AttachError, match="save before detaching"):
        handle.save(tmp_path)
    with pytest.raises(AttachError, match="nothing to save"):
        pc.attach(make("llama"), pattern("window")).save(tmp_path)
    (tmp_path / "near.pat").write_text("rule near(w: int) = local(w)")
    (tmp_path / "far.pat").write_text(
        'from "near.pat" import near\npattern p causal { learn t = topk(k = 2) step near(2) | columns(t) }'
    )
    handle = pc.attach(make("llama"), pc.load(tmp_path / "far.pat")["p"])
    with pytest.raises(SavedError, match="write the files that it imports into one"):
        handle.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()
