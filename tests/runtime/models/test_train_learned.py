"""What training sees of an attached model: the Trainer with its checkpoints, and two processes."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from learned_models import attached, pattern
from runtime_models import make, transformers

import patternc as pc

pytest.importorskip("accelerate")


def train(folder, steps, **options):
    model = make("llama").requires_grad_(False)
    torch.manual_seed(3)
    handle = pc.attach(model, pattern("mixed"))
    before = [parameter.detach().clone() for parameter in handle.parameters()]
    generator = torch.Generator().manual_seed(0)
    rows = [{"input_ids": row, "labels": row} for row in torch.randint(3, 97, (16, 14), generator=generator)]
    resume = options.pop("resume", None)
    arguments = transformers.TrainingArguments(
        folder, max_steps=steps, per_device_train_batch_size=4, save_steps=2, report_to=[], use_cpu=True,
        disable_tqdm=True, gradient_accumulation_steps=2, seed=0, learning_rate=1e-2, **options,
    )  # fmt: skip
    transformers.Trainer(model=model, args=arguments, train_dataset=rows).train(resume_from_checkpoint=resume)
    found = [parameter.detach() for parameter in handle.parameters()]
    assert all(not torch.equal(one, other) for one, other in zip(found, before, strict=True))
    return model, found


def test_the_trainer_trains_saves_and_resumes(tmp_path):
    plain = copy.deepcopy(make("llama").state_dict())
    model, whole = train(tmp_path, 4)
    _, resumed = train(tmp_path, 4, resume=tmp_path / "checkpoint-2")
    for one, other in zip(whole, resumed, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in plain.items())  # the base was frozen


def test_the_trainer_with_checkpointing_trains_the_same(tmp_path):
    _, whole = train(tmp_path / "a", 2)
    _, again = train(tmp_path / "b", 2, gradient_checkpointing=True)
    for one, other in zip(whole, again, strict=True):
        torch.testing.assert_close(one, other)


def gradients(rank, folder):
    """Of half of a batch each, by DistributedDataParallel."""
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(str(folder / "store"), 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    model, handle = attached("llama", "mixed")
    rows = batch()[2 * rank : 2 * rank + 2]
    shared = torch.nn.parallel.DistributedDataParallel(model)  # it must live until the gradients have met
    shared(input_ids=rows, labels=rows, use_cache=False).loss.backward()
    if rank == 0:
        torch.save([parameter.grad for parameter in handle.parameters()], folder / "gradients.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def batch():
    return torch.randint(3, 97, (4, 14), generator=torch.Generator().manual_seed(1))


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one(tmp_path):
    code = (
        "import sys; sys.path[:0] = sys.argv[3:]; import pathlib, test_train_learned as t;"
        " t.gradients(int(sys.argv[1]), pathlib.Path(sys.argv[2]))"
    )
    here = Path(__file__).parent
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(rank), str(tmp_path), str(here), str(here.parent)])
        for rank in range(2)
    ]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    model, handle = attached("llama", "mixed")
    model(batch(), labels=batch(), use_cache=False).loss.backward()
    for mine, theirs in zip(torch.load(tmp_path / "gradients.pt"), handle.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs.grad)
