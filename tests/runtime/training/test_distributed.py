"""Two processes of gloo have the gradients of one process with both batches, where nothing is drawn at random."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from learned_models import attached

from patternc.runtime.training import Mode, Objective, Recipe, train

TIGHT = {"atol": 1e-10, "rtol": 1e-8}


def in_two_processes(batches: list[torch.Tensor], folder: Path) -> dict:
    store, output = folder / "store", folder / "found.pt"
    torch.save(batches, f"{store}.batches")
    script = Path(__file__).parent / "two_processes.py"
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(store), str(output)],
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    for each in running:
        _, said = each.communicate(timeout=240)
        assert each.returncode == 0, said.decode()[-2000:]
    return torch.load(output)


@pytest.mark.slow
def test_two_processes_are_one_with_both_batches(tmp_path: Path) -> None:
    batches = [torch.randint(3, 97, (1, 16)) for _ in range(4)]
    every = in_two_processes(batches, tmp_path)
    for mode in Mode:
        compare(mode, batches, every[str(mode)])


def compare(mode: Mode, batches: list[torch.Tensor], found: dict) -> None:
    _model, handle = attached("llama", "blocks", torch.float64)
    recipe = Recipe(steps=2, mode=mode, rate=1e-2, model_rate=1e-3, probes=0)
    train(handle, batches, Recipe(steps=2, mode=mode, rate=1e-2, model_rate=1e-3, probes=0, accumulate=2))
    for mine, theirs in zip(handle.parameters(), found["trained"], strict=True):
        torch.testing.assert_close(mine.detach(), theirs, **TIGHT)
    model, handle = attached("llama", "blocks", torch.float64)
    objective = Objective(handle, recipe)
    with objective.in_force():
        for batch in batches[:2]:
            for part in objective.parts({"input_ids": batch}, 0):
                (part.loss / 2).backward()
    wanted = {name: x.grad for name, x in model.named_parameters() if x.grad is not None}
    assert wanted.keys() == found["slopes"].keys()
    for name, slope in wanted.items():
        torch.testing.assert_close(slope, found["slopes"][name], **TIGHT)
