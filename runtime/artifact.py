"""A compiled pattern on disk. An artifact is data: loading it runs no code of it.

pattern.pat      the source text
imports/1.pat    that of files that it imports (runtime/sources.py)
manifest.json    what this is, with the hash of every other file (runtime/manifest.py)
proofs.json      the verdicts, as `patternc check --output-format json` prints them
plan.json        the program, for reading
kernels.py       the generated kernels, for reading
sm_90/...        what was built ahead of time

Of a pattern with seeded tables the kernels are those of its positional part; those that read lists, which belong to no
pattern, are built when they are first needed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import ValidationError

from .. import __version__
from ..compiler.examine import FileReport, Finding
from ..compiler.kernels.emit.program import emit
from ..compiler.lowering.learned import LearnedProgram, lower_tables
from ..compiler.lowering.lower import lower
from ..compiler.output import naming
from ..compiler.passes.program import TILE, Program, Tile
from ..compiler.pattern import Pattern
from ..compiler.report import formats, plan
from ..compiler.selection import UsageError, given, title
from ..compiler.verify.result import Result
from ..patterns_dsl.diagnostics.diagnostic import PatternError
from ..patterns_dsl.syntax import BoundPattern
from .manifest import NAME, Dtype, Manifest, Summary, Verdict
from .sources import SOURCE, Sources, sources_of

PROOFS, PLAN, KERNELS = "proofs.json", "plan.json", "kernels.py"


class ArtifactError(ValueError):
    """A folder that is not an intact artifact of this version, or cannot become one: what differs, and what to do."""


@dataclass(frozen=True, slots=True)
class Build:
    """What is to be written beside the source: ``binaries`` are paths inside the artifact with their contents."""

    pattern: Pattern
    program: Program | LearnedProgram
    results: tuple[Result, ...]
    length: int
    head_dim: int
    dtype: Dtype
    targets: tuple[str, ...]
    binaries: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Artifact:
    """What was read: ``program`` has been lowered anew from ``pattern`` and is what the files say."""

    manifest: Manifest
    pattern: Pattern
    program: Program | LearnedProgram
    files: Mapping[str, bytes]


def save(build: Build, directory: Path) -> tuple[Path, ...]:
    """Write the artifact into a folder, which is made; the manifest comes last. Returns the files.

    Raises ArtifactError, and writes nothing, where the text with its arguments does not give the pattern back.
    """
    bound = build.pattern.bound
    report = FileReport(SOURCE, (Finding(title(bound), build.results),))
    sources, arguments = sources_of(build.pattern.module.tree), given(bound)
    if _pattern(sources, bound.name, arguments, directory).bound != bound:
        raise ArtifactError(f"the text of {bound.name!r} with its arguments {arguments} does not give it back exactly")
    files: dict[str, bytes] = {
        **{path: text.encode() for path, text in sources.texts.items()},
        PROOFS: (formats.as_json([report]) + "\n").encode(),
        PLAN: plan.as_json(build.program).encode(),
        KERNELS: _kernels(build.program).encode(),
        **build.binaries,
    }
    manifest = Manifest(
        patternc=__version__,
        pattern=bound.name,
        arguments=arguments,
        length=build.length,
        head_dim=build.head_dim,
        dtype=build.dtype,
        targets=build.targets,
        verdicts=tuple(Verdict(claim=result.text, status=result.status.value) for result in build.results),
        plan=_summary(build.program),
        imports=sources.imports,
        files={path: digest(content) for path, content in sorted(files.items())},
    )
    return _written(files | {NAME: (manifest.model_dump_json(indent=2) + "\n").encode()}, directory)


def _written(files: Mapping[str, bytes], directory: Path) -> tuple[Path, ...]:
    """Puts files into the folder, in this order, once all of them are on its disk: what was there stays whole where
    that is full. Raises OSError, which names the place."""
    directory.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".", suffix=".new", dir=directory) as beside:
        for path, content in files.items():
            part = Path(beside, path)
            part.parent.mkdir(parents=True, exist_ok=True)
            with naming(directory / path):
                part.write_bytes(content)
        for path in files:
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            Path(beside, path).replace(directory / path)
    return tuple(directory / path for path in files)


def check_free(directory: Path) -> None:
    """Before the work. Raises ArtifactError for a folder where an artifact would take the place of other files."""
    taken = [directory / name for name in (NAME, SOURCE, PROOFS, PLAN, KERNELS) if (directory / name).exists()]
    if not taken:
        return
    try:
        ours = "patternc" in json.loads((directory / NAME).read_bytes())
    except (OSError, ValueError, TypeError, RecursionError):
        ours = False
    if not ours:
        raise ArtifactError(f"{taken[0]} is there, and of no artifact: give a folder of its own with -o")


def load(directory: Path) -> Artifact:
    """Read an artifact and compile its source anew. Raises ArtifactError where a file is missing, was changed, or is
    not what this version makes of the source; OSError where the folder cannot be read."""
    try:
        manifest = Manifest.model_validate_json((directory / NAME).read_bytes())
    except ValidationError as error:
        raise ArtifactError(
            f"{directory / NAME} is not a manifest that patternc {__version__} reads: {error}"
        ) from error
    if absent := {SOURCE, PLAN, KERNELS} - manifest.files.keys():
        raise ArtifactError(f"{directory / NAME} lists no {', '.join(sorted(absent))}: compile the pattern again")
    files = {path: _intact(directory / path, expected) for path, expected in manifest.files.items()}
    try:
        texts = {path: files[path].decode() for path in _texts(manifest)}
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{directory / SOURCE} or what it imports is no text: {error}") from error
    pattern = _pattern(Sources(texts, manifest.imports), manifest.pattern, manifest.arguments, directory)
    try:
        program = _lowered(pattern.bound, Tile(*manifest.plan.tile))
    except PatternError as error:
        raise ArtifactError(f"{directory / SOURCE} does not give a program: {error}") from error
    for path, text in ((PLAN, plan.as_json(program)), (KERNELS, _kernels(program))):
        if text.encode() != files[path]:
            raise ArtifactError(
                f"{directory / path} is not what patternc {__version__} makes of {SOURCE} (it was written by "
                f"{manifest.patternc}): compile the pattern again"
            )
    if manifest.plan != _summary(program):
        raise ArtifactError(f"{directory / NAME} says of the plan what {PLAN} does not: compile the pattern again")
    return Artifact(manifest, pattern, program, files)


def _texts(manifest: Manifest) -> set[str]:
    """The files that hold the pattern's text."""
    return {SOURCE, *(file for paths in manifest.imports.values() for file in paths.values())} & manifest.files.keys()


def _pattern(sources: Sources, name: str, arguments: Mapping[str, str], directory: Path) -> Pattern:
    try:
        return sources.pattern(name, arguments, directory)
    except (PatternError, KeyError, UsageError) as error:
        raise ArtifactError(f"{directory / SOURCE} does not give the pattern {name!r}: {error}") from error


def positional(program: Program | LearnedProgram) -> Program | None:
    """What generated kernels run; None where tables draw everything."""
    return program if isinstance(program, Program) else program.positional


def _lowered(bound: BoundPattern, tile: Tile) -> Program | LearnedProgram:
    tabled = lower_tables(bound.union, bound.direction, bound.name)
    own = bound.union if tabled is None else tabled.parts.positional
    table = 0 if tabled is None else tabled.parts.table
    program = None if own is None else lower(own, bound.direction, bound.name, tile, table).program
    if tabled is not None:
        return replace(tabled, positional=program)
    assert program is not None
    return program


def _kernels(program: Program | LearnedProgram) -> str:
    own = positional(program)
    return "# Seeded tables draw everything: no kernel is generated.\n" if own is None else emit(own)


def _summary(whole: Program | LearnedProgram) -> Summary:
    program = positional(whole)
    if program is None:
        return Summary(tile=(TILE.query, TILE.key), terms=0, forward_kernels=0, backward_kernels=0)
    return Summary(
        tile=(program.tile.query, program.tile.key),
        terms=len(program.terms),
        forward_kernels=len(program.forward),
        backward_kernels=len(program.backward),
    )


def _intact(path: Path, expected: str) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing: compile the pattern again") from None
    if digest(content) != expected:
        raise ArtifactError(f"{path} was changed after it was written: compile the pattern again")
    return content


def digest(content: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(content).hexdigest()
