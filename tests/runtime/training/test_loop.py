"""The plain loop: what each mode trains, exact resuming, accumulation, checkpointing, autocast and compilation."""

from __future__ import annotations

import copy

import pytest
import torch
from learned_models import attached, build, pattern
from runtime_models import make

import patternc as pc
from patternc.runtime.errors import ArgumentError
from patternc.runtime.training import Mode, Objective, Recipe, train
from patternc.runtime.training.checkpoint import VERSION

TIGHT = {"atol": 1e-10, "rtol": 1e-8}


@pytest.fixture
def batches():
    return [torch.randint(3, 97, (1, 16)) for _ in range(5)]


def numbers(handle):
    return [parameter.detach().clone() for parameter in handle.parameters()]


def weights(model):
    return {name: x.clone() for name, x in model.state_dict().items() if ".patternc." not in name}


def same(one, other, **tolerance):
    for mine, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(mine, theirs, **(tolerance or {"atol": 0, "rtol": 0}))


@pytest.mark.parametrize("name", ["axis", "tokens", "blocks", "keys", "levels", "mixed"])
def test_distilling_trains_what_is_learned_and_nothing_else(batches, name):
    model, handle = attached("llama", name)
    before, base = numbers(handle), weights(model)
    report = train(handle, batches, Recipe(steps=3, rate=1e-2, measure_every=2))
    assert report.finished and [step.step for step in report.steps] == [0, 1, 2]
    assert all((old != new).any() for old, new in zip(before, numbers(handle), strict=True) if old.numel() > 1)
    same(base.values(), weights(model).values())
    assert all(step.loss["distil"] > 0 for step in report.steps)
    assert set(report.steps[0].density) == {0, 1, 2} and not report.steps[1].density
    assert all(0 < value <= 1 for step in report.steps for value in (*step.density.values(), *step.coverage.values()))
    assert not model.training and all(parameter.requires_grad for parameter in model.parameters())


def test_distilling_lowers_the_loss(batches):
    _model, handle = attached("llama", "blocks")
    report = train(handle, batches[:1], Recipe(steps=25, rate=1e-2))
    assert report.steps[-1].loss["distil"] < 0.7 * report.steps[0].loss["distil"]


def test_the_dense_model_is_what_is_distilled(batches):
    """The loss is that of the selectors beside dense attention of a plain model, layer by layer."""
    from patternc.runtime.training.dense_maps import DenseAttention
    from patternc.runtime.training.distill import selector_losses

    model, handle = attached("llama", "blocks", torch.float64)
    with handle.watch() as seen, handle.dense(), torch.no_grad():
        mine = model(batches[0]).logits
    torch.testing.assert_close(mine, build("llama", torch.float64)(batches[0]).logits, **TIGHT)
    losses = []
    for index, layer in handle.learned.items():
        one = seen[index]
        dense = DenseAttention(one.q, one.k, one.inputs, layer.pattern.direction, one.scale)
        losses += selector_losses(layer, dense).values()
    objective = Objective(handle, Recipe(steps=1))
    with objective.in_force():
        [*parts] = objective.parts({"input_ids": batches[0]}, 0)
    torch.testing.assert_close(sum(part.loss for part in parts), torch.stack(losses).mean().double(), **TIGHT)


def test_joint_training_moves_both_and_keeps_the_task_from_the_selectors(batches):
    model, handle = attached("llama", "blocks", torch.float64)
    objective = Objective(handle, Recipe(steps=1, mode="joint"))
    with objective.in_force():
        task, *rest = objective.parts({"input_ids": batches[0]}, 0)
        task.loss.backward()
        assert task.kind == "task"
        assert all(parameter.grad is None for parameter in handle.parameters())
        assert model.model.layers[0].self_attn.q_proj.weight.grad.abs().max() > 0
        known = model.model.layers[0].self_attn.q_proj.weight.grad.clone()
        for part in rest:
            part.loss.backward()
        assert all(parameter.grad is not None for parameter in handle.parameters())
        assert torch.equal(known, model.model.layers[0].self_attn.q_proj.weight.grad)


def test_the_task_trains_selectors_end_to_end(batches):
    model, handle = attached("llama", "blocks", torch.float64)
    objective = Objective(handle, Recipe(steps=1, mode="end_to_end"))
    with objective.in_force():
        [task] = objective.parts({"input_ids": batches[0]}, 0)
        task.loss.backward()
    slope = model.model.layers[0].self_attn.patternc.learned.selectors["b"].scorer.query.grad
    assert slope.abs().max() > 0


@pytest.mark.parametrize(
    ("mode", "shared"),
    [("distill", False), ("joint", True), pytest.param("end_to_end", True, marks=pytest.mark.slow)],
)
def test_the_density_is_held_in_each_mode(batches, mode, shared):
    _model, handle = attached("llama", "axis")
    recipe = Recipe(
        steps=40, mode=mode, density=0.45, shared=shared, rate=6e-2, weight=16.0, ramp=0.25, measure_every=1
    )
    report = train(handle, batches, recipe)
    read = torch.tensor([[step.density[layer] for layer in range(3)] for step in report.steps])
    last = read[-len(batches) :].mean(0)
    assert read[0].max() > 0.55
    assert last.mean() < 0.5 if shared else last.max() < 0.56
    assert report.steps[0].loss["density"] == 0  # the weight begins at 0


@pytest.mark.parametrize("two_sided", [False, True])
def test_from_below_only_a_two_sided_density_is_held(batches, two_sided):
    _model, handle = attached("llama", "axis")
    recipe = Recipe(
        steps=20, mode="end_to_end", density=0.95, two_sided=two_sided, rate=1e-1, weight=16.0, measure_every=1
    )
    report = train(handle, batches, recipe)
    last = torch.tensor([list(step.density.values()) for step in report.steps[-len(batches) :]]).mean()
    assert (last > 0.85) == two_sided


def test_a_budget_is_the_density_where_none_is_asked_for(batches):
    _model, handle = attached("llama", "axis")
    report = train(handle, batches, Recipe(steps=60, rate=3e-2, weight=8.0))
    with handle.watch() as seen, torch.no_grad():
        handle.model(batches[0])
    found = torch.stack([one.selections["a"].density.mean() for one in seen.values()]).mean()
    assert 0.1 < found < 0.4  # of 30 %, over 16 tokens
    assert report.steps[0].loss["density"] > 0


def test_gates_close_for_a_density_and_are_0_or_1_then():
    model = build("llama")
    subject = pc.loads("pattern p causal { step self | gated local(4) | gated { (i, j) : j <= i } }")["p"].bind()
    handle = pc.attach(model, subject)
    batches = [torch.randint(3, 97, (1, 24)) for _ in range(3)]
    report = train(handle, batches, Recipe(steps=40, density=0.5, rate=0.15, weight=8.0))
    assert sum(report.steps[-1].density.values()) / 3 < 0.6
    gates = [gate for layer in handle.learned.values() for gate in layer.learned.gates]
    assert all(gate.hard for gate in gates)
    assert any((gate.logits < 0).any() for gate in gates)


@pytest.mark.parametrize(("name", "mode"), [("axis", "distill"), ("levels", "end_to_end"), ("blocks", "joint")])
def test_a_resumed_run_has_the_same_numbers(batches, tmp_path, name, mode):
    recipe = Recipe(steps=6, mode=mode, rate=1e-2, model_rate=1e-3, seed=3)
    model, handle = attached("llama", name)
    whole = train(handle, batches, recipe)
    other, again = attached("llama", name)
    file = tmp_path / "run" / "training.pt"
    half = train(again, batches, recipe, checkpoint=file, every=2, on_step=lambda record: record.step == 2)
    assert not half.finished and len(half.steps) == 3
    other, again = attached("llama", name)  # as a new process would
    torch.randn(7)
    resumed = train(again, batches, recipe, checkpoint=file, resume=True)
    assert resumed == whole
    assert resumed.seconds >= torch.load(file, weights_only=True)["seconds"] > half.seconds / 2  # all of it counts
    same(numbers(handle), numbers(again))
    same(weights(model).values(), weights(other).values())


def test_a_checkpoint_of_another_run_is_refused(batches, tmp_path):
    file = tmp_path / "training.pt"
    recipe = Recipe(steps=2)
    _model, handle = attached("llama", "blocks")
    train(handle, batches, recipe, checkpoint=file)
    with pytest.raises(ArgumentError, match="exists; pass resume=True"):
        train(handle, batches, recipe, checkpoint=file)
    with pytest.raises(ArgumentError, match="is of recipe"):
        train(handle, batches, Recipe(steps=3), checkpoint=file, resume=True)
    with pytest.raises(ArgumentError, match="is of batches = 5, not 4"):
        train(handle, batches[:4], recipe, checkpoint=file, resume=True)
    _other, others = attached("llama", "levels")
    with pytest.raises(ArgumentError, match=r"is of pattern = 'blocks', not 'levels'"):
        train(others, batches, recipe, checkpoint=file, resume=True)
    edited = "pattern blocks causal { learn b = topk_blocks(k = 3, block = 2) step local(3) | select(b) }"
    rewritten = pc.attach(build("llama"), pc.loads(edited)["blocks"].bind())  # its name and all sizes are as before
    with pytest.raises(ArgumentError, match="is of pattern's text"):
        train(rewritten, batches, recipe, checkpoint=file, resume=True)
    content = torch.load(file, weights_only=True)
    torch.save(content | {"version": VERSION - 1}, file)
    with pytest.raises(ArgumentError, match="no checkpoint of this version"):
        train(handle, batches, recipe, checkpoint=file, resume=True)
    file.write_bytes(b"nothing")
    with pytest.raises(ArgumentError, match="cannot be read"):
        train(handle, batches, recipe, checkpoint=file, resume=True)
    with pytest.raises(ArgumentError, match=r"absent is missing; leave resume \(--resume\) out"):
        train(handle, batches, recipe, checkpoint=tmp_path / "absent", resume=True)
    with pytest.raises(ArgumentError, match="without a checkpoint"):
        train(handle, batches, recipe, resume=True)


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("qwen2", {}, "is of model = 'LlamaForCausalLM, 3 layers, .*not 'Qwen2ForCausalLM, 3 layers"),
        ("llama", {"num_hidden_layers": 2}, "'LlamaForCausalLM, 3 layers, .*not 'LlamaForCausalLM, 2 layers"),
        ("llama", {"num_key_value_heads": 3}, "6 heads over 2 of 8', not .*6 heads over 3 of 8'"),
        # Nothing that the pattern learns has this size, but the mode trains the whole model.
        (
            "llama",
            {"intermediate_size": 32},
            r"mlp.down_proj.weight of shape \[48, 64\], and the model of .*\[48, 32\]",
        ),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(batches, tmp_path, kind, changes, words):
    file, recipe = tmp_path / "training.pt", Recipe(steps=1, mode="end_to_end")
    train(attached("llama", "blocks")[1], batches, recipe, checkpoint=file)
    other = pc.attach(make(kind, **changes), pattern("blocks"))
    before = numbers(other)
    with pytest.raises(ArgumentError, match=words):
        train(other, batches, recipe, checkpoint=file, resume=True)
    same(before, numbers(other))


def gradients(handle, batch, recipe, model=None):
    """Of all parts, of what is trained, by name."""
    objective = Objective(handle, recipe)
    handle.model.zero_grad()
    with objective.in_force(), torch.random.fork_rng():
        torch.manual_seed(5)
        for part in objective.parts(batch, 0, model=model):
            part.loss.backward()
    return {name: x.grad.clone() for name, x in handle.model.named_parameters() if x.grad is not None}


def alike(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, slope in one.items():
        torch.testing.assert_close(slope, other[name], msg=lambda text, name=name: f"{name}: {text}", **tolerance)


@pytest.mark.parametrize(
    ("mode", "reentrant"), [("distill", False), ("joint", True), ("end_to_end", False), ("end_to_end", True)]
)
def test_gradient_checkpointing_changes_no_gradient(batches, mode, reentrant):
    model, handle = attached("llama", "axis", torch.float64)
    recipe, batch = Recipe(steps=2, mode=mode, density=0.4), {"input_ids": batches[0]}
    plain = gradients(handle, batch, recipe)
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    if reentrant:
        model.enable_input_require_grads()
    checkpointed = gradients(handle, batch, recipe)
    alike(plain, checkpointed, **TIGHT)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(Mode))
def test_compiled_models_have_the_same_gradients(batches, mode):
    """torch.compile works around what is learned: its tables have sizes that are data, and run eagerly."""
    model, handle = attached("llama", "blocks", torch.float64)
    recipe, batch = Recipe(steps=1, mode=mode), {"input_ids": batches[0]}
    plain = gradients(handle, batch, recipe)
    alike(plain, gradients(handle, batch, recipe, torch.compile(model, backend="eager")), **TIGHT)


@pytest.mark.parametrize("mode", list(Mode))
def test_autocast(batches, mode):
    """The model computes in bfloat16, and what is learned in its own float32."""
    _model, handle = attached("llama", "axis")
    batch = {"input_ids": batches[0]}
    plain = gradients(handle, batch, Recipe(steps=1, mode=mode))
    cast = gradients(handle, batch, Recipe(steps=1, mode=mode, autocast=torch.bfloat16))
    learned = [name for name in plain if ".patternc." in name]
    assert learned and all(cast[name].dtype == torch.float32 for name in learned)
    mine, theirs = (torch.cat([found[name].flatten() for name in learned]) for found in (cast, plain))
    assert torch.nn.functional.cosine_similarity(mine, theirs, 0) > 0.8
    assert not torch.equal(mine, theirs)


def test_accumulation_is_the_mean_over_batches(batches):
    """Two batches at once are two batches one after the other; they have as many rows each."""
    seen = []
    for accumulate, given in ((2, batches[:2]), (1, [torch.cat(batches[:2])])):
        _model, handle = attached("llama", "blocks", torch.float64)
        before = numbers(handle)
        train(handle, given, Recipe(steps=1, accumulate=accumulate, rate=1e-2))
        seen.append([new - old for old, new in zip(before, numbers(handle), strict=True)])
    same(*seen, atol=1e-7, rtol=1e-4)


def test_padding_is_no_text(batches):
    """A padded batch trains as the text alone, on either side."""
    found = []
    for side in (None, 0, 1):
        _model, handle = attached("llama", "blocks", torch.float64)
        batch = {"input_ids": batches[0]}
        if side is not None:
            filler = torch.zeros(1, 4, dtype=torch.long)
            pieces = (filler, batches[0]) if side == 0 else (batches[0], filler)
            mask = torch.cat([(x is batches[0]) * torch.ones_like(x) for x in pieces], 1)
            batch = {"input_ids": torch.cat(pieces, 1), "attention_mask": mask}
            batch["position_ids"] = (mask.cumsum(1) - 1).clamp_min(0)
        found.append(gradients(handle, batch, Recipe(steps=1, mode="joint")))
    alike(found[0], found[1], **TIGHT)
    alike(found[0], found[2], **TIGHT)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": 0}, "'steps': 0"),
        ({"mode": "both"}, "choose one of distill, joint, end_to_end"),
        ({"density": 0.0}, "above 0 and at most 1"),
        ({"density": 1.5}, "above 0 and at most 1"),
        ({"ramp": 2.0}, "between 0 and 1"),
        ({"pool": "mean"}, "choose one of max, sum"),
        ({"rate": -1.0}, "give 0 or more"),
        ({"rate": float("nan")}, "give 0 or more"),
        ({"rate": float("inf")}, "no infinity"),
        ({"weight": float("inf")}, "no infinity"),
    ],
)
def test_recipes_that_do_not_fit(changes, words):
    with pytest.raises(ArgumentError, match=words):
        Recipe(**{"steps": 1} | changes)


def test_refusals(batches):
    _model, handle = attached("llama", "blocks")
    with pytest.raises(ArgumentError, match="set k in the pattern instead"):
        train(handle, batches, Recipe(steps=1, density=0.2))
    with pytest.raises(ArgumentError, match="'batches': none"):
        train(handle, [], Recipe(steps=1))
    with pytest.raises(ArgumentError, match="at least 1 step"):
        train(handle, batches, Recipe(steps=1), every=0)
    control = pc.attach(build("llama"), pattern("blocks"), random=0)
    with pytest.raises(ArgumentError, match="has nothing to learn"):
        train(control, batches, Recipe(steps=1))


def test_a_copy_trains_alone(batches):
    model, handle = attached("llama", "blocks")
    other, again = copy.deepcopy((model, handle))
    before = numbers(handle)
    train(again, batches, Recipe(steps=1))
    same(before, numbers(handle))
    assert any((old != new).any() for old, new in zip(before, numbers(again), strict=True))
    assert other is again.model
