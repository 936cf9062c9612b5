"""The Trainer of transformers, with its accumulation, checkpointing and data types."""

from __future__ import annotations

import pytest
import torch
from learned_models import attached
from runtime_models import transformers

import patternc as pc
from patternc.runtime.errors import ArgumentError
from patternc.runtime.training import Mode, Objective, Recipe
from patternc.runtime.training.trainer import PatternTrainer


@pytest.fixture
def texts():
    return [{"input_ids": torch.randint(3, 97, (16,)), "labels": torch.randint(3, 97, (16,))} for _ in range(8)]


def trainer(handle, recipe, texts, folder, **arguments):
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), use_cpu=True, report_to=[], disable_tqdm=True, logging_steps=1, warmup_steps=0,
        lr_scheduler_type="constant",
        **{"max_steps": 4, "per_device_train_batch_size": 2, "save_strategy": "no"} | arguments,
    )  # fmt: skip
    return PatternTrainer(handle, recipe, args=arguments, train_dataset=texts, eval_dataset=texts)


def weights(model):
    return {name: x.clone() for name, x in model.state_dict().items() if ".patternc." not in name}


@pytest.mark.parametrize("mode", list(Mode))
def test_each_mode(texts, tmp_path, mode):
    model, handle = attached("llama", "axis")
    before, base = [x.detach().clone() for x in handle.parameters()], weights(model)
    one = trainer(
        handle, Recipe(steps=1, mode=mode, density=0.4, rate=1e-2, model_rate=1e-3), texts, tmp_path,
        gradient_accumulation_steps=2, gradient_checkpointing=mode != Mode.DISTILL, bf16=mode == Mode.JOINT,
    )  # fmt: skip
    one.train()
    assert any((x != old).any() for x, old in zip(handle.parameters(), before, strict=True))
    moved = any((x != base[name]).any() for name, x in weights(model).items())
    assert moved == (mode != Mode.DISTILL)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert one.evaluate()["eval_loss"] > 0


def test_its_gradient_is_the_objective_s(texts, tmp_path):
    """One step of plain SGD over two batches of one is the mean of two gradients."""
    model, handle = attached("llama", "blocks", torch.float64)
    before = {name: x.detach().clone() for name, x in model.named_parameters() if ".patternc." in name}
    recipe = Recipe(steps=1, rate=1.0)
    objective, wanted = Objective(handle, recipe), dict[str, torch.Tensor]()
    with objective.in_force():
        for text in texts[:2]:
            for part in objective.parts({"input_ids": text["input_ids"][None]}, 0):
                (part.loss / 2).backward()
    wanted = {name: x.grad.clone() for name, x in model.named_parameters() if x.grad is not None}
    assert wanted.keys() == before.keys()
    model.zero_grad()
    trainer(
        handle, recipe, texts[:2], tmp_path, gradient_accumulation_steps=2, per_device_train_batch_size=1, max_steps=1,
        optim="sgd", max_grad_norm=0.0,
    ).train()  # fmt: skip
    for name, x in model.named_parameters():
        if name in before:
            torch.testing.assert_close(before[name] - x.detach(), wanted[name], atol=1e-9, rtol=1e-7)


def test_what_it_saves_can_be_attached(texts, tmp_path):
    model, handle = attached("llama", "blocks")
    trainer(handle, Recipe(steps=1, rate=1e-2), texts, tmp_path, save_strategy="steps", save_steps=4).train()
    tokens = texts[0]["input_ids"][None]
    with torch.no_grad():
        mine = model(tokens).logits
        handle.detach()
        pc.load_attached(model, tmp_path / "checkpoint-4")
        assert torch.equal(model(tokens).logits, mine)


def test_what_is_said_twice_is_refused(texts, tmp_path):
    model, handle = attached("llama", "blocks")
    with pytest.raises(ArgumentError, match="set it in TrainingArguments"):
        trainer(handle, Recipe(steps=1, accumulate=2), texts, tmp_path)
    with pytest.raises(ArgumentError, match="leave it out"):
        PatternTrainer(handle, Recipe(steps=1), model=model)
