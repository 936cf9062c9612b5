"""A training run on disk, so that it goes on exactly where it was: numbers alone, no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ArgumentError, in_a_line

# Since 2 an indexer turns its queries and keys; a run knows since 3 its model, since 4 its seconds, since 5 what its
# pattern says.
VERSION = 5


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """After ``step`` steps: what learns by its name, the optimizer, torch's generators, the records and seconds so far.
    ``run``: what the numbers depend on; another run cannot go on from them."""

    step: int
    run: Mapping[str, Any]
    learned: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    random: Mapping[str, Tensor]
    records: list[dict[str, Any]]
    seconds: float


def generators() -> dict[str, Tensor]:
    found = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        found["cuda"] = torch.cuda.get_rng_state()
    return found


def set_generators(states: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def save(path: Path, state: State) -> None:
    """Replaces what is there only when all is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".part")
    content = {name: getattr(state, name) for name in State.__slots__}
    torch.save({"version": VERSION, **content}, half)
    half.replace(path)


def check_begin(path: Path, *, resume: bool) -> None:
    """That a run can begin that is kept in this file, or go on from it. Raises ArgumentError. Nothing is made."""
    if resume and not path.exists():
        raise ArgumentError("checkpoint", f"{path} is missing", "leave resume (--resume) out to begin a run")
    if not resume and path.exists():
        remedy = "pass resume=True (--resume) to go on from it, or remove it"
        raise ArgumentError("checkpoint", f"{path} exists", remedy)


def load(path: Path, run: Mapping[str, Any]) -> State:
    """Raises ArgumentError for a file that is no checkpoint, or one of another run; OSError where it cannot be read."""
    with path.open("rb") as file:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001 - torch raises many types for what is not its file
            raise ArgumentError(
                "checkpoint", f"{path} cannot be read ({in_a_line(error)})", "train anew, without resume"
            ) from None
    if not isinstance(content, dict) or content.pop("version", None) != VERSION or set(content) != set(State.__slots__):
        raise ArgumentError("checkpoint", f"{path} is no checkpoint of this version", "train anew, without resume")
    state = State(**content)
    for name, value in run.items():
        if state.run.get(name) != value:
            found = f"{path} is of {name} = {state.run.get(name)!r}, not {value!r}"
            raise ArgumentError("checkpoint", found, "resume with the arguments that it began with, or train anew")
    return state
