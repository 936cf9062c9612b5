"""What processes tell each other before they attend: a few numbers from each. All messages are of one length, so that
a process that refuses is heard whatever the others speak of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist

from ..errors import ArgumentError

_LENGTH = 12


def heard(mine: Sequence[int], group: dist.ProcessGroup | None, device: torch.device) -> list[list[int]]:
    """What each process says, as many numbers as ``mine``. Raises ArgumentError where one refuses."""
    every = _gathered([1, *mine], group, device)
    refusing = [rank for rank, (fine, *_) in enumerate(every) if not fine]
    if refusing:
        raise ArgumentError("q", f"process {refusing[0]} refuses its own arguments", "see what it says of them")
    return [said[1 : 1 + len(mine)] for said in every]


def refuse(group: dist.ProcessGroup | None, device: torch.device) -> None:
    """Tell the others, in the place of what they expect to hear, that this process is not going to attend."""
    _gathered([], group, device)


def check_alike(names: Sequence[str], every: Sequence[Sequence[int]]) -> None:
    """Raises ArgumentError where the processes do not say the same of what is named."""
    for name, values in zip(names, zip(*every, strict=True), strict=True):
        if len(set(values)) > 1:
            raise ArgumentError("q", f"the processes differ in their {name}", "call alike in all of them")


def _gathered(mine: Sequence[int], group: dist.ProcessGroup | None, device: torch.device) -> list[list[int]]:
    one = torch.tensor([*mine, *[0] * (_LENGTH - len(mine))], device=device)
    every = [torch.empty_like(one) for _ in range(dist.get_world_size(group))]
    dist.all_gather(every, one, group=group)
    found: list[list[int]] = torch.stack(every).tolist()
    return found
