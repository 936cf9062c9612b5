"""train: a plain loop over an objective."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ...compiler.selection import title
from ..errors import ArgumentError
from ..models.handle import Handle
from . import checkpoint as disk
from .alone import alone
from .batch import Batch, by_name
from .objective import Measured, Objective
from .recipe import Recipe
from .report import StepRecord, TrainingReport

OnStep = Callable[[StepRecord], bool | None]


def train(
    handle: Handle,
    batches: Sequence[Batch | Tensor],
    recipe: Recipe,
    *,
    checkpoint: Path | str | None = None,
    resume: bool = False,
    every: int = 20,
    on_step: OnStep | None = None,
) -> TrainingReport:
    """Train what an attached pattern learns, in place; the model itself as well where the recipe's mode says so.

    ``batches``: tokens int64 [B, N], or mappings of what the model takes; in each pass over them their order is drawn
    from the seed. ``checkpoint``: a file that the run is kept in, after every ``every`` steps and at its end; with
    ``resume`` it goes on from there, with the numbers that it would have had anyway. ``on_step`` is called after each
    step; where it returns True the run ends early, and its report says so.

    In a group of torch.distributed each process takes batches of its own, and gradients are averaged: the numbers of
    one process that accumulates as many, but for noise and probes, which each draws for itself. Raises ArgumentError
    for what does not fit, OSError.
    """
    run = _Run.of(handle, batches, recipe, Path(checkpoint) if checkpoint is not None else None)
    if every < 1:
        raise ArgumentError("every", f"{every}", "keep the run after at least 1 step")
    if resume and run.file is None:
        raise ArgumentError("resume", "without a checkpoint", "name the file to go on from")
    with _kept(run, resume=resume), torch.random.fork_rng(), run.objective.in_force():
        optimizer = torch.optim.AdamW(run.objective.groups())
        paces = [group["lr"] for group in optimizer.param_groups]
        start, records, spent = _begin(run, optimizer, resume=resume)
        finished, begun = start >= recipe.steps, time.perf_counter() - spent
        for step in range(start, recipe.steps):
            for group, rate in zip(optimizer.param_groups, paces, strict=True):
                group["lr"] = rate * recipe.pace(step)
            record = _step(run, step, optimizer)
            records.append(record)
            finished = step + 1 == recipe.steps
            ends = on_step is not None and bool(on_step(record))
            if run.file is not None and (ends or finished or (step + 1) % every == 0):
                _keep(run, step + 1, optimizer, records, time.perf_counter() - begun)
            if ends:
                break
        spent = time.perf_counter() - begun
    return TrainingReport(run.pattern, _plain(recipe), tuple(records), finished, spent)


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    objective: Objective
    batches: Sequence[Batch | Tensor]
    file: Path | None
    pattern: str

    @classmethod
    def of(cls, handle: Handle, batches: Sequence[Batch | Tensor], recipe: Recipe, file: Path | None) -> _Run:
        if len(batches) == 0:
            raise ArgumentError("batches", "none", "give at least one")
        patterns = sorted({title(layer.pattern.bound) for layer in handle.learned.values()})
        return cls(Objective(handle, recipe), batches, file, ", ".join(patterns))

    @property
    def recipe(self) -> Recipe:
        return self.objective.recipe

    def learned(self) -> dict[str, Tensor]:
        """What is trained, by its name in the model."""
        model = self.objective.handle.model
        names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        return {name: x for name, x in model.state_dict().items() if name in names}

    def depends_on(self) -> dict[str, Any]:
        return {
            "model": _model(self.objective.handle),
            "pattern": self.pattern,
            "pattern's text (its digest)": _digest(self.objective.handle),
            "recipe": _plain(self.recipe),
            "batches": len(self.batches),
            "world": _world(),
        }

    def batch(self, number: int) -> Batch:
        """The batch of a number, counted over all processes and passes."""
        count = len(self.batches)
        generator = torch.Generator().manual_seed(self.recipe.seed + number // count)
        place = int(torch.randperm(count, generator=generator)[number % count])
        return by_name(self.batches[place])


@contextmanager
def _kept(run: _Run, *, resume: bool) -> Iterator[None]:
    """While it lasts, this run alone is kept in its file: of a group of processes the first one writes it."""
    if run.file is not None:
        disk.check_begin(run.file, resume=resume)
    with nullcontext() if run.file is None or _rank() > 0 else alone(run.file):
        yield


def _begin(run: _Run, optimizer: torch.optim.Optimizer, *, resume: bool) -> tuple[int, list[StepRecord], float]:
    """(the step to go on at, the records and the seconds of those before)."""
    torch.manual_seed(run.recipe.seed + _rank())
    if not resume:
        return 0, [], 0.0
    assert run.file is not None
    state = disk.load(run.file, run.depends_on())
    own = run.learned()
    shapes, kept = ({name: x.shape for name, x in tensors.items()} for tensors in (own, state.learned))
    if shapes != kept:
        name = min(name for name in shapes.keys() | kept.keys() if shapes.get(name) != kept.get(name))
        found = f"{run.file} has {name} {_shown(kept.get(name))}, and the model {_shown(shapes.get(name))}"
        raise ArgumentError("checkpoint", found, "attach the pattern to the model that it was trained in")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state.learned[name])
    optimizer.load_state_dict(dict(state.optimizer))
    if _rank() == 0:
        disk.set_generators(state.random)
    else:  # the noise of the other processes was not kept: it is drawn anew
        torch.manual_seed(run.recipe.seed + _rank() + state.step * _world())
    return state.step, [StepRecord(**record) for record in state.records], state.seconds


def _keep(run: _Run, step: int, optimizer: torch.optim.Optimizer, records: list[StepRecord], seconds: float) -> None:
    assert run.file is not None
    if _rank() == 0:  # every process has the same numbers, but for its noise
        plain = [asdict(record) for record in records]
        state = disk.State(
            step, run.depends_on(), run.learned(), optimizer.state_dict(), disk.generators(), plain, seconds
        )
        disk.save(run.file, state)


def _step(run: _Run, step: int, optimizer: torch.optim.Optimizer) -> StepRecord:
    recipe, losses = run.recipe, dict[str, float]()
    measured = Measured() if step % recipe.measure_every == 0 or step + 1 == recipe.steps else None
    optimizer.zero_grad(set_to_none=True)
    for number in range(recipe.accumulate):
        batch = run.batch((step * recipe.accumulate + number) * _world() + _rank())
        last = measured if number + 1 == recipe.accumulate else None
        for part in run.objective.parts(batch, step, measured=last):
            loss = part.loss / recipe.accumulate
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            losses[part.kind] = losses.get(part.kind, 0.0) + float(loss.detach())
    average_gradients(group["params"] for group in optimizer.param_groups)
    optimizer.step()
    if measured is None:
        return StepRecord(step, losses)
    return StepRecord(step, losses, measured.density, measured.coverage)


def average_gradients(groups: Iterator[list[nn.Parameter]]) -> None:
    """Over the processes of the default group of torch.distributed, where there is one."""
    if _world() == 1:
        return
    for parameters in groups:
        for parameter in parameters:
            if parameter.grad is None:  # no choice in this process's batch; others may have one
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= _world()


def _world() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _rank() -> int:
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def _model(handle: Handle) -> str:
    """What a model must have in common with another one for a run to go on in it, but for names and shapes of what is
    trained: a checkpoint has these in its tensors."""
    sizes = [
        f"{shape.width} wide, {shape.query_heads} heads over {shape.key_heads} of {shape.head_dim}"
        for shape in (layer.shape for layer in handle.learned.values())
    ]
    return f"{type(handle.model).__name__}, {len(handle.layers)} layers, {', '.join(dict.fromkeys(sizes))}"


def _digest(handle: Handle) -> str:
    """What each layer attends to and selects, without names, comments and claims: an edited file is another pattern."""
    bound = {index: layer.pattern.bound for index, layer in sorted(handle.learned.items())}
    said = [(index, one.direction, one.union, one.selectors) for index, one in bound.items()]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def _shown(shape: torch.Size | None) -> str:
    return "not at all" if shape is None else f"of shape {list(shape)}"


def _plain(recipe: Recipe) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, torch.dtype | str) else value for name, value in asdict(recipe).items()
    }
