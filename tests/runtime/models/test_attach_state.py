"""What an attachment survives: copies, saving, other handles, other models, conversions, failures."""

from __future__ import annotations

import copy

import pytest
import torch
from runtime_models import LEFT, close, explicit, make, padded

import patternc as pc
from patternc.runtime.errors import AttachError, UnsupportedCallError

transformers = pytest.importorskip("transformers")


@pytest.fixture
def model():
    return make("llama")


@pytest.fixture
def tokens():
    return torch.randint(3, 97, (2, 19))


def under(model, tokens, *masks):
    """Logits of the unattached model under a pattern's mask, or one mask for each head."""
    return model(tokens, attention_mask=torch.cat([explicit(mask) for mask in masks], 1).expand(2, -1, -1, -1)).logits


@torch.no_grad()
def test_a_spent_handle_leaves_the_next_attachment_alone(model, patterns, tokens):
    first = pc.attach(model, patterns("window"))
    first.detach()
    second = pc.attach(model, patterns("factorized"))
    first.detach()
    second.verify()
    close(model(tokens).logits, under(make("llama"), tokens, patterns("factorized").mask(19)))


@torch.no_grad()
def test_two_models_run_different_patterns_at_once(model, patterns, tokens):
    other = make("qwen2")
    handle = pc.attach(model, patterns("window"))
    pc.attach(other, patterns("factorized"))
    theirs = under(make("qwen2"), tokens, patterns("factorized").mask(19))
    close(model(tokens).logits, under(make("llama"), tokens, patterns("window").mask(19)))
    close(other(tokens).logits, theirs)
    handle.detach()
    close(other(tokens).logits, theirs)


@torch.no_grad()
def test_a_model_and_its_handle_are_copied_together(model, patterns, tokens):
    before = model(tokens).logits
    twin, handle = copy.deepcopy((model, pc.attach(model, patterns("window"))))
    handle.detach()
    assert torch.equal(twin(tokens).logits, before)
    assert not torch.allclose(model(tokens).logits, before, atol=1e-2)


@torch.no_grad()
def test_saving_an_attached_model_saves_the_model(model, patterns, tokens, tmp_path):
    before = model(tokens).logits
    pc.attach(model, patterns("window"))
    model.save_pretrained(tmp_path)
    assert not [path for path in tmp_path.glob("*.json") if "patternc" in path.read_text(encoding="utf-8")]
    loaded = transformers.LlamaForCausalLM.from_pretrained(tmp_path).eval()
    assert loaded.config._attn_implementation == "sdpa"
    torch.testing.assert_close(loaded(tokens).logits, before)


@torch.no_grad()
def test_an_exception_inside_the_block_detaches(model, patterns, tokens):
    before = model(tokens).logits
    with pytest.raises(KeyError), pc.attach(model, patterns("window")):
        raise KeyError
    assert torch.equal(model(tokens).logits, before)


@torch.no_grad()
def test_a_refused_call_leaves_the_attachment_in_force(model, patterns, tokens):
    handle = pc.attach(model, patterns("window"))
    before = model(tokens).logits
    hole = torch.ones_like(tokens)
    hole[0, 3] = 0
    with pytest.raises(UnsupportedCallError):
        model(tokens, attention_mask=hole)
    assert torch.equal(model(tokens).logits, before)
    handle.verify()


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-4), (torch.float16, 0.02), (torch.bfloat16, 0.1)])
def test_converting_an_attached_model(model, patterns, tokens, dtype, tolerance):
    pc.attach(model, patterns("window"), engine="compose")
    before = model(tokens).logits
    assert (model.to(dtype)(tokens).logits - before).abs().max() < tolerance


@torch.no_grad()
def test_a_padding_mask_that_changes_in_place(model, patterns, tokens):
    """Spans are read from a mask once per forward, and anew when it holds something else."""
    pc.attach(model, patterns("window"))
    padding = torch.ones_like(tokens, dtype=torch.bool)
    model(tokens, attention_mask=padding)
    padding[0, :5] = False
    mine = model(tokens, attention_mask=padding).logits
    assert torch.equal(mine, model(tokens, attention_mask=padding.clone()).logits)
    with torch.inference_mode():
        assert torch.equal(mine, model(tokens, attention_mask=padding).logits)


@torch.no_grad()
def test_heads_with_patterns_of_their_own_under_gqa(model, patterns, plans, tokens):
    plan = plans("layers all heads 0,3,4 : window\n layers all heads 1..2 : factorized merged")
    window, factorized, dense = (patterns(name).mask(19) for name in ("window", "factorized", "dense"))
    theirs = under(model, tokens, window, factorized, factorized, window, window, dense)
    settings = {"attention_mask": padded(tokens, LEFT), "max_new_tokens": 6, "do_sample": False, "pad_token_id": 0}
    with pc.attach(model, plan, engine="compose"):
        close(model(tokens).logits, theirs)
        whole = model.generate(tokens, **settings, use_cache=False)
        assert torch.equal(model.generate(tokens, **settings), whole)
        assert torch.equal(model.generate(tokens, **settings, prefill_chunk_size=4), whole)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_training_on_a_padded_batch(model, patterns, tokens, reentrant):
    padding = torch.ones_like(tokens)
    padding[0, -5:] = 0
    pattern, labels = patterns("factorized"), tokens.masked_fill(padding == 0, -100)
    mask = torch.cat([explicit(pattern.mask(14), padding[:1]), explicit(pattern.mask(19))])
    model.train()(tokens, labels=labels, attention_mask=mask).loss.backward()
    theirs = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": reentrant})
    pc.attach(model, pattern, engine="compose")
    model(tokens, labels=labels, attention_mask=padding, use_cache=False).loss.backward()
    for name, parameter in model.named_parameters():
        close(parameter.grad, theirs[name])


def test_attention_weights_asked_for_in_the_config(patterns):
    model = make("llama", implementation="eager")
    model.config.output_attentions = True
    with pytest.raises(AttachError, match=r"set config\.output_attentions = False"):
        pc.attach(model, patterns("window"))


@torch.no_grad()
def test_torch_compile_without_a_padding_mask(model, patterns, tokens):
    """While tracing, transformers cannot tell whether sequences are packed: the graph finds out."""
    torch.compiler.reset()
    pc.attach(model, patterns("factorized"))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    close(compiled(input_ids=tokens, use_cache=False).logits, model(tokens, use_cache=False).logits)
    packed = torch.cat([torch.arange(9), torch.arange(10)]).expand(2, -1)
    with pytest.raises(RuntimeError, match="packed sequences"):
        compiled(input_ids=tokens, position_ids=packed, use_cache=False)


@torch.no_grad()
def test_torch_compile_of_a_model_that_wants_its_own_window(patterns, tokens):
    torch.compiler.reset()
    model = make("mistral")
    pc.attach(model, patterns("factorized"))
    model.config.sliding_window = 4
    with pytest.raises(RuntimeError, match="sliding_window=4 is not implemented"):
        torch.compile(model, fullgraph=True, backend="aot_eager")(input_ids=tokens, use_cache=False)


@pytest.mark.slow
def test_a_training_step_under_inductor(model, patterns, tokens):
    torch.compiler.reset()
    pc.attach(model.train(), patterns("factorized"))
    model(tokens, labels=tokens, use_cache=False).loss.backward()
    theirs = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    torch.compile(model, fullgraph=True)(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
    for name, parameter in model.named_parameters():
        close(parameter.grad, theirs[name])
