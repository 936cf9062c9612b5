"""The manifest of an artifact: what was compiled, by which version, and the hash of every file beside it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from ..compiler.passes.program import TILE
from ..compiler.passes.sizes import SMALLER

NAME = "manifest.json"

Dtype = Literal["fp32", "bf16", "fp16"]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def _inside(path: str) -> str:
    """A manifest comes from anywhere: no path of it may lead out of its folder."""
    pure = PurePosixPath(path)
    outside = pure.is_absolute() or ".." in pure.parts or pure.as_posix() != path
    if outside or {"\\", "\0"} & set(path) or path in ("", ".", NAME):
        raise ValueError(f"{path!r} is not a plain path inside the artifact")
    return path


InsidePath = Annotated[str, AfterValidator(_inside)]


def _tile(ranks: int) -> int:
    """Nothing is asked of a compiler that it does not take."""
    if ranks not in {tile.query for tile in (TILE, *SMALLER)}:
        raise ValueError(f"no program has tiles of {ranks} ranks")
    return ranks


TileSize = Annotated[int, AfterValidator(_tile)]


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Verdict(Record):
    claim: str
    status: Literal["proved", "checked", "refuted", "unknown"]


class Summary(Record):
    """The plan in short. The whole of it is plan.json."""

    tile: tuple[TileSize, TileSize] = Field(description="queries and keys per tile, in ranks")
    terms: int
    forward_kernels: int
    backward_kernels: int


class Manifest(Record):
    """``arguments`` are spelled as ``-p`` takes them: ``64``, ``10%``, ``{0, 5..9}``. Sets and relations that the text
    has as defaults are not among them."""

    schema_version: Literal[1] = 1
    patternc: str = Field(description="the version that wrote this")
    pattern: str
    arguments: dict[str, str]
    length: int = Field(ge=1, description="the length that reports speak of; the kernels serve any length")
    head_dim: int = Field(ge=1)
    dtype: Dtype
    targets: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    plan: Summary
    imports: dict[InsidePath, dict[str, InsidePath]] = Field(
        default={}, description="by file, by path in it: the file of the artifact that it imports"
    )
    files: dict[InsidePath, Digest] = Field(description="SHA-256 of every other file of the artifact")
