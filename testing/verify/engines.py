"""engine NAME: attention by an engine, forward and backward, is that of the reference in float64 within the budget."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from torch import Tensor

from ...compiler import bruteforce
from ...compiler.cache import fresh
from ...compiler.lowering.learned import LearnedProgram
from ...compiler.lowering.lower import lower
from ...compiler.passes.program import Tile
from ...compiler.pattern import Pattern, Plan
from ...patterns_dsl.syntax import Direction, Expression
from ...runtime.compile import compile
from ...runtime.compiled import Compiled
from ...runtime.engines.triton.launching import interpreted
from ..agreement import Eager, Mismatch, agree, budgets, results
from ..arguments import bindings
from ..inputs import AttentionInputs, Dtype, attention_inputs
from ..rounding import round_to_nearest
from .program import compilable, uncompilable
from .property import Example, Violated, bounded

DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16", "float16")
MOST_TILES = 6
"""Tiles of an example along one side in Triton's interpreter, which takes milliseconds for each."""

INTERPRETED_HEADS = 2
"""Query heads of an example in Triton's interpreter."""

MOST_SPOILED = 64
"""Tokens of an example with NaN in it: the reference adds rows that are not finite one by one."""

EXACT = 1e-9
"""What two computations in float64 may differ by."""


@dataclass(frozen=True)
class EngineExample(Example):
    """``spoiled``: what the tensors hold outside the spans is NaN for the engine, and must have no influence. ``tile``:
    ranks per side of a tile, where it is not the compiler's own."""

    inputs: AttentionInputs | None = None
    spoiled: bool = False
    tile: int | None = None

    def shortened(self, n: int) -> EngineExample:
        inputs = self.inputs
        assert inputs is not None
        if inputs.spans is not None or inputs.documents is not None or inputs.queries != inputs.keys:
            raise ValueError("padding, documents and the place of the queries belong to this length")
        return replace(self, n=n, nk=n if inputs.cross else None, inputs=replace(inputs, queries=n, keys=n))

    def described(self) -> dict[str, Any]:
        assert self.inputs is not None
        shown = {field.name: getattr(self.inputs, field.name) for field in fields(self.inputs)}
        tile = {} if self.tile is None else {"tile": self.tile}
        return {**super().described(), **shown, "spoiled": self.spoiled, **tile}


@st.composite
def _examples(draw: DrawFn, pattern: Pattern, fixed: Collection[str], engine: str) -> EngineExample:
    bound = draw(bindings(pattern, fixed))
    slow = engine == "triton" and interpreted()
    inputs = draw(attention_inputs(bound, dtypes=DTYPES, heads=INTERPRETED_HEADS if slow else None))
    count = len(bound.bound.steps)
    step = draw(st.sampled_from([None, *range(count)])) if count > 1 else None
    spoiled = inputs.spans is not None and inputs.keys <= MOST_SPOILED and draw(st.booleans())
    n, nk = (inputs.queries, inputs.keys) if inputs.cross else (inputs.keys, None)
    return EngineExample(
        bound, n, nk, step, inputs, spoiled, small_tile(max(inputs.queries, inputs.keys)) if slow else None
    )


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine."""

    engine: str

    @property
    def name(self) -> str:
        return f"engine {self.engine}"

    @property
    def share(self) -> float:
        return 0.1 if self.engine == "triton" else 1.0

    @property
    def device(self) -> torch.device:
        """Where its tensors lie: only compiled kernels need a GPU."""
        return torch.device("cuda" if self.engine == "triton" and not interpreted() else "cpu")

    def left_out(self, subject: Pattern | Plan) -> str:
        if reason := uncompilable(subject, self.engine):
            return reason
        if self.device.type == "cuda" and not torch.cuda.is_available():
            return "torch finds no GPU; set TRITON_INTERPRET=1 to run its kernels in Triton's interpreter"
        return ""

    def examples(self, subject: Pattern | Plan, fixed: Collection[str]) -> SearchStrategy[EngineExample]:
        assert isinstance(subject, Pattern)
        return _examples(subject, fixed, self.engine)

    def judge(self, example: EngineExample) -> None:
        inputs, pattern = example.inputs, example.pattern
        assert inputs is not None
        if self.engine == "triton" and interpreted():
            round_to_nearest()
        form: dict[str, Any] = {"step": example.step, "head_dim": inputs.head_dim}
        with bounded(), compilable(), fresh():
            exact_program = compile(pattern, **form, dtype=torch.float64, engine="reference")
            program = compile(pattern, **form, dtype=inputs.torch_dtype, engine=self.engine)
            program = program if example.tile is None else tiled(program, Tile(example.tile, example.tile))
            mask = visible(example.body, pattern.direction, inputs)
        exact = results(exact_program, inputs.tensors, **inputs.arguments)
        double, low = (Eager(mask, dtype, inputs.softcap) for dtype in (torch.float64, inputs.torch_dtype))
        try:
            agree(exact, results(double, inputs.tensors, scale=inputs.scale), budget=EXACT)
        except Mismatch as error:
            raise Violated(f"the reference is not masked attention: {error}") from None
        allowed = budgets(results(low, inputs.tensors, scale=inputs.scale), exact, inputs.torch_dtype)
        given = [x.to(self.device) for x in (spoil(inputs) if example.spoiled else inputs.tensors)]
        arguments = {
            name: value.to(self.device) if isinstance(value, Tensor) else value
            for name, value in inputs.arguments.items()
        }
        try:
            agree([x.cpu() for x in results(program, given, **arguments)], exact, budget=allowed)
        except Mismatch as error:
            raise Violated(str(error)) from None


def tiled(program: Compiled, tile: Tile) -> Compiled:
    """The same pattern in other tiles."""
    lowered = program.program
    if isinstance(lowered, LearnedProgram):  # what its tables draw is in no tiles
        parts = lowered.parts
        if parts.positional is None:
            return program
        own = lower(parts.positional, parts.direction, program.name, tile, parts.table).program
        return replace(program, program=replace(lowered, positional=own))
    meaning = program.meaning
    return replace(program, program=lower(meaning.expression, meaning.direction, program.name, tile).program)


def small_tile(n: int) -> int:
    """The smallest tile with which so many tokens have no more than MOST_TILES."""
    return next(tile for tile in (16, 32, 64, 128) if n <= MOST_TILES * tile or tile == 128)


def visible(body: Expression, direction: Direction, inputs: AttentionInputs) -> Tensor:
    """bool [batch, 1, queries, keys]: which query sees which key, by brute force, in physical positions."""
    found = torch.zeros(inputs.batch, inputs.queries if inputs.cross else inputs.keys, inputs.keys, dtype=torch.bool)
    for element, start, end in inputs.sequences:
        sizes = (inputs.queries, end - start) if inputs.cross else (end - start,)
        rows = slice(None) if inputs.cross else slice(start, end)
        found[element, rows, start:end] = torch.from_numpy(bruteforce.mask(body, direction, *sizes))
    return found[:, None, inputs.query_offset : inputs.query_offset + inputs.queries]


def spoil(inputs: AttentionInputs) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v with NaN and infinity wherever no key or query exists."""
    q, k, v = (x.clone() for x in inputs.tensors)
    for element, (start, end) in enumerate(inputs.spans or ()):
        gone = [place for place in range(inputs.keys) if not start <= place < end]
        k[element, :, gone], v[element, :, gone] = math.nan, math.inf
        rows = [] if inputs.cross else [place - inputs.query_offset for place in gone]
        q[element, :, [row for row in rows if 0 <= row < inputs.queries]] = math.nan
    return q, k, v
