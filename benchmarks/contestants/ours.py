"""patternc under one of its engines."""

from __future__ import annotations

import os
import time
from importlib.util import find_spec

import torch
from cases import Case
from torch import Tensor

import patternc as pc
from patternc.compiler.cache import fresh
from patternc.runtime.bench.clock import seconds_of, synchronise
from patternc.runtime.bench.inputs import Inputs, forward
from patternc.runtime.engines.compose.routes import forget

from .contestant import CannotRun, Prepared

ENGINES = ("compose", "triton")
"""Those that are timed by their own name."""


class Ours:
    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.name = f"ours, {engine}"

    def available(self, device: str, dtype: torch.dtype) -> str | None:
        if self.engine != "triton":
            return None
        if find_spec("triton") is None:
            return "triton is not installed"
        if device != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
            return "its kernels need a GPU (or TRITON_INTERPRET=1, which says nothing about speed)"
        return None

    def computes(self, case: Case) -> Case:
        return case

    def prepare(self, case: Case, inputs: Inputs) -> Prepared:
        pattern = case.pattern()
        begin = time.perf_counter()
        dtype, device = inputs.q.dtype, inputs.device
        with fresh():  # the time of a first compilation, whatever earlier runs have left on the disk
            program = pc.compile(pattern, head_dim=inputs.q.shape[3], dtype=dtype, engine=self.engine, device=device)
        if self.engine == "auto" and program.engine in ENGINES:
            raise CannotRun(f"it chose {program.engine}, which takes part as such")
        lowered = time.perf_counter()
        forward(program, inputs)()
        synchronise(device)
        facts = {
            "engine": program.engine,
            "lower_seconds": lowered - begin,
            "first_call_seconds": time.perf_counter() - lowered,
        }
        if self.engine == "compose":
            # Not one of the timed runs: it drops the plans of all.
            forget()
            facts["planned_call_seconds"] = seconds_of(forward(program, inputs), 1, device)

        def step(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return program(q, k, v, query_offset=k.shape[2] - q.shape[2])

        return Prepared(program, inputs, step if case.causal else None, facts=facts)
