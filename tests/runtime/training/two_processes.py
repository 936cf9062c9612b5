"""One process of a group, for the test of distributed training: its numbers go to a file.

RANK=0 WORLD_SIZE=2 python two_processes.py STORE OUTPUT
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parent.parent))

from learned_models import attached

from patternc.runtime.training import Mode, Objective, Recipe, train


def main(store: str, output: str) -> None:
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    batches = torch.load(f"{store}.batches")
    found = {}
    for mode in map(str, Mode):
        recipe = Recipe(steps=2, mode=mode, rate=1e-2, model_rate=1e-3, probes=0)
        _model, handle = attached("llama", "blocks", torch.float64)
        train(handle, batches, recipe)
        trained = [parameter.detach().clone() for parameter in handle.parameters()]
        found[mode] = {"trained": trained, "slopes": wrapped(batches[rank], recipe)}
    if rank == 0:
        torch.save(found, output)
    dist.destroy_process_group()


def wrapped(batch: torch.Tensor, recipe: Recipe) -> dict[str, torch.Tensor]:
    """Gradients by torch's own wrapper around the attached model."""
    model, handle = attached("llama", "blocks", torch.float64)
    objective = Objective(handle, recipe)
    with objective.in_force():
        parallel = torch.nn.parallel.DistributedDataParallel(model)
        parts = list(objective.parts({"input_ids": batch}, 0, model=parallel))
        torch.stack([part.loss.double() for part in parts]).sum().backward()
    return {name: x.grad for name, x in model.named_parameters() if x.grad is not None}


if __name__ == "__main__":
    main(*sys.argv[1:])
