"""FSDP2 shards along the first dimension: a gate of no dimension could not be sharded, one of a single head can."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import patternc as pc
from patternc.library import catalogue
from patternc.runtime.selectors import LayerShape, Learned

TEXT = """pattern p causal {
    learn hot = topk_blocks(k = 3, block = 4)
    learn few = importance()
    learn detail = granularity(block = 4)
    step local(3) | select(hot) | columns(few) | refine(detail) | gated strided(5)
}"""


@pytest.mark.parametrize("name", catalogue.names())
def test_no_parameter_is_a_scalar(name: str) -> None:
    for pattern in pc.load(f"library:{name}").patterns.values():
        layer = Learned(pattern.bind(), LayerShape(8, 1, 1, 8))
        assert all(tensor.dim() > 0 for tensor in (*layer.parameters(), *layer.buffers()))


def slopes(sharded: bool) -> list[torch.Tensor]:
    """The gradients of a layer with one head, whole."""
    torch.manual_seed(0)
    layer = pc.compile(pc.loads(TEXT)["p"].bind(), heads=1, head_dim=8, hidden_size=8).eval()
    if sharded:
        fully_shard(layer, mesh=init_device_mesh("cpu", (distributed.get_world_size(),)))
    q, k, v = (torch.randn(2, 1, 20, 8) for _ in range(3))
    layer(q, k, v, hidden=torch.randn(2, 20, 8)).square().sum().backward()
    found = [one.grad for one in layer.parameters()]
    return [grad.full_tensor() if sharded else grad for grad in found]


def compare(rank: int, world: int, file: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=world)
    try:
        for mine, wanted in zip(slopes(True), slopes(False), strict=True):
            torch.testing.assert_close(mine, wanted, atol=1e-6, rtol=1e-5)
    finally:
        distributed.destroy_process_group()


def test_one_process(tmp_path: Path) -> None:
    compare(0, 1, str(tmp_path / "store"))


@pytest.mark.slow
def test_two_processes_of_which_one_has_no_part_of_a_gate(tmp_path: Path) -> None:
    multiprocessing.spawn(compare, (2, str(tmp_path / "store")), nprocs=2)


def test_torch_refuses_scalars_by_name(tmp_path: Path) -> None:
    """What the gates are kept from."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        scalar = nn.Module()
        scalar.gate = nn.Parameter(torch.tensor(1.0))
        with pytest.raises(ValueError, match="Change gate to a 1D tensor"):
            fully_shard(scalar, mesh=init_device_mesh("cpu", (1,)))
    finally:
        distributed.destroy_process_group()
