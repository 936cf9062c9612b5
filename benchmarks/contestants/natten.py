"""NATTEN: neighbourhood attention in one dimension, causal and dilated (https://natten.org, ``na1d``).

A causal neighbourhood of w is the latest w tokens, and one with dilation l is the residue class of the query, so that
the strided pattern is two calls: the window, and for queries from l on the class among keys that are l tokens behind,
which no window holds. ``merge_attentions`` joins them; its backward needs views of one batch element.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from cases import DECODE, Case
from torch import Tensor

from patternc.runtime.bench.inputs import Attend, Inputs

from .contestant import CannotRun, Prepared
from .installed import why_not


class Natten:
    name = "NATTEN"

    def available(self, device: str, dtype: torch.dtype) -> str | None:
        if device != "cuda":
            return "its kernels need a GPU"
        return why_not("natten")

    def computes(self, case: Case) -> Case:
        return case

    def prepare(self, case: Case, inputs: Inputs) -> Prepared:
        natten = import_module("natten")
        missing = {DECODE: "a neighbourhood has as many queries as keys"}
        return Prepared(_heads_last(self._attend(natten, case, inputs)), inputs, missing=missing)

    def _attend(self, natten: Any, case: Case, inputs: Inputs) -> Attend:
        n = inputs.n
        if case.kind == "window":
            w = min(case.numbers["w"], n)
            return lambda q, k, v: natten.na1d(q, k, v, kernel_size=w, is_causal=True)
        if case.kind == "strided":
            stride = case.numbers["l"]
            if n % stride or n < 2 * stride or inputs.q.shape[0] != 1:
                raise CannotRun(f"written for one batch element and multiples of {stride}")

            def strided(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
                near, near_lse = natten.na1d(q, k, v, kernel_size=stride, is_causal=True, return_lse=True)
                far, far_lse = natten.na1d(
                    q[:, stride:].contiguous(),
                    k[:, :-stride].contiguous(),
                    v[:, :-stride].contiguous(),
                    kernel_size=n // stride - 1,
                    dilation=stride,
                    is_causal=True,
                    return_lse=True,
                )
                merged, _ = natten.merge_attentions([near[:, stride:], far], [near_lse[:, stride:], far_lse])
                return torch.cat([near[:, :stride], merged], 1)

            return strided
        raise CannotRun("no neighbourhoods compose it")


def _heads_last(attend: Attend) -> Attend:
    """From [B, H, n, D] to NATTEN's [B, n, H, D] and back; the copies are its price."""
    return lambda q, k, v: attend(*(x.transpose(1, 2).contiguous() for x in (q, k, v))).transpose(1, 2)
