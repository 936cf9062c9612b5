"""Attention over a pattern with learned terms: what ``patternc.compile`` returns for one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, TypeAlias, TypedDict, Unpack, overload

import torch
from torch import Tensor, nn
from torch._compile import _disable_dynamo
from torch.nn import functional as F

from ...compiler.lowering.learned import LearnedProgram
from ...compiler.pattern import Pattern
from ...patterns_dsl.syntax import Direction
from ..arguments import check_placement, check_tensors, check_values, count_of, scale_of, softcap_of
from ..engines.engine import Call, check_dtype, find_engine
from ..errors import ArgumentError
from ..precision import as_given
from ..selectors.front import Front
from ..selectors.inputs import Inputs, Side
from ..selectors.layer import LayerShape
from ..selectors.learned import Learned
from ..selectors.selection import Selection, without_gradient
from ..sinks import check_sinks, join_sinks
from .bind import Tokens, begin_of, bind
from .plain import check_plain
from .pricing.dispatch import DENSE, Dispatch, choose
from .reference import dense
from .running.products import Scores
from .softmax import attend

Selections: TypeAlias = Mapping[str, Selection]
"""Of each ``learn`` by its name, of each gate by its term as the text has it, of each ``pooled(s)``."""


class LearnedOptions(TypedDict, total=False):
    """What a call may say beside q, k and v."""

    hidden: Tensor | None
    inputs: Inputs | None
    selections: Selections | None
    spans: Tensor | None
    query_offset: int
    scale: float | None
    softcap: float | None
    sinks: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class Attended:
    """out [B, Hq, Nq, D] and lse [B, Hq, Nq] of one call, what was selected in it, and which way selections ran."""

    out: Tensor
    lse: Tensor
    selections: Selections
    dispatch: Dispatch


class LearnedAttention(nn.Module):
    """One layer's attention over a pattern with learned terms, and what the layer learns: its selectors and gates.

    ``program`` is None for the reference engine, which evaluates the pattern itself. ``dtype`` None: it is called with
    tensors of any data type that the engine computes in.

    ``detached``, while it is set: no gradient passes from the output to selectors and gates, which learn elsewhere.

    Its parameters train, move and are saved with the model that holds it. Nothing is noted on the side in ``forward``,
    which gradient checkpointing runs twice: what was selected is returned where it is asked for.
    """

    def __init__(
        self,
        pattern: Pattern,
        program: LearnedProgram | None,
        shape: LayerShape,
        *,
        engine: str,
        dtype: torch.dtype | None,
        random: int | None = None,
    ) -> None:
        super().__init__()
        if dtype is not None:
            check_dtype(engine, dtype)
        self.pattern, self.program = pattern, program
        self.shape, self.engine, self.dtype = shape, engine, dtype
        self.detached = False
        self.learned = Learned(pattern, shape, random=random)

    def extra_repr(self) -> str:
        return f"{self.pattern.name}, engine={self.engine}"

    @overload
    def forward(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        return_selections: Literal[False] = False,
        **options: Unpack[LearnedOptions],
    ) -> Tensor: ...

    @overload
    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, *, return_selections: Literal[True], **options: Unpack[LearnedOptions]
    ) -> Attended: ...

    # What is selected decides sizes: torch.compile would break its graph in more than a hundred places.
    @_disable_dynamo
    def forward(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        hidden: Tensor | None = None,
        inputs: Inputs | None = None,
        selections: Selections | None = None,
        spans: Tensor | None = None,
        query_offset: int = 0,
        scale: float | None = None,
        softcap: float | None = None,
        sinks: Tensor | None = None,
        return_selections: bool = False,
    ) -> Tensor | Attended:
        """out [B, Hq, Nq, D]; with ``return_selections`` an ``Attended``.

        q [B, Hq, Nq, D]; k and v [B, Hkv, Nk, D]. ``hidden`` [B, N, W] enters the layer; selectors that compare queries
        with keys take q and k as they are. ``inputs`` instead says all that selectors read (q and k before rotary
        embedding, a second sequence), and how many tokens exist, at the front; ``selections`` instead is what an
        earlier call returned. ``spans`` int32 [B, 2]: the range of tokens that exist, as in ``Compiled``; not
        for cross patterns: ``inputs`` has their lengths. ``scale``, ``softcap`` and ``sinks`` as in ``Compiled``.

        With fewer queries than keys (decode, chunked prefill) query row r stands at ``query_offset + r``, and
        ``inputs`` are given: those of the whole sequence, over which selections are made.

        A query that reads nothing has out 0 and lse -inf, and so has one that does not exist. Raises ArgumentError.
        """
        check_plain(q, chain((k, v, hidden, sinks), self.parameters()))
        scale, softcap = scale_of(scale, self.shape.head_dim), softcap_of(softcap)
        query_offset = count_of("query_offset", query_offset)
        self._check(q, k, v, inputs, Call(scale, spans, query_offset, softcap=softcap))
        front = None if spans is None else Front(spans)
        if front is not None:
            q, k, v = (front.bring(x, 2) for x in (q, k, v))
            hidden = None if hidden is None else front.bring(hidden, 1)
        if inputs is None:
            inputs = Inputs.self_attention(hidden, q, k, None if front is None else front.lengths)
        q = _existing(q, inputs.query, query_offset)
        k, v = _existing(k, inputs.key), _existing(v, inputs.key)
        tokens = Tokens(k, v, inputs.query.counts(), inputs.key.counts(), inputs.key.kept)
        if selections is None:
            selections = self.select(inputs, k, v, query_offset)
            if self.detached:
                selections = {name: without_gradient(selection) for name, selection in selections.items()}
        out, lse, dispatch = self._attend(q, query_offset, selections, tokens, Scores(scale, softcap))
        if sinks is not None:
            check_sinks(q, sinks)
            out, lse = join_sinks(out, lse, sinks)
            lse = _existing(lse[..., None], inputs.query, query_offset, -torch.inf)[..., 0]
        if front is not None:
            out, lse = front.put_back(out, 2, 0.0), front.put_back(lse, 2, -torch.inf)
        return Attended(out, lse, selections, dispatch) if return_selections else out

    def select(self, inputs: Inputs, k: Tensor, v: Tensor, first: int = 0) -> dict[str, Selection]:
        """What the selectors choose of ``inputs`` for the queries from ``first`` on, the gates, and the summaries of k
        and v [B, Hkv, Nk, D]. Under autocast too, in the data types of what is learned: scores that are rounded choose
        others."""
        with as_given(k.device):
            found = self.learned.select(inputs, first)
            found |= {name: self.learned.gate(name) for name in self.learned.gate_names}
            tokens = Inputs(inputs.query, Side(heads=k, lengths=inputs.key.lengths, kept=inputs.key.kept))
            found |= {f"pooled({size})": pool(tokens, v) for size, pool in self.learned.pools.items()}
        return found

    def _attend(
        self, q: Tensor, offset: int, selections: Selections, tokens: Tokens, scores: Scores
    ) -> tuple[Tensor, Tensor, Dispatch]:
        """Queries that are not given, of the first tile or to the reference engine, are 0 meanwhile."""
        if self.engine == "reference":
            behind = 0 if self.pattern.direction is Direction.CROSS else tokens.k.shape[2] - offset - q.shape[2]
            padded = F.pad(q, (0, 0, offset, behind))
            before, way = offset, Dispatch(DENSE)
            out, lse = dense(self.pattern.bound, selections, padded, tokens, scores)
        else:
            assert self.program is not None
            # A kernel is compiled for each size of a tile, so it has but one of other than the declared ones.
            narrow = self.engine == "compose" or q.shape[2] == 1
            begin = begin_of(self.program.parts, selections, offset, q.shape[2], narrow=narrow)
            before = offset - begin
            engine, padded = find_engine(self.engine), F.pad(q, (0, 0, before, 0)) if before else q
            parts = bind(self.program, engine, selections, tokens, scores, begin, padded.shape[2])
            way = choose(parts.lists, padded, tokens.k, scores, self.engine)
            out, lse = attend(replace(parts, dispatch=way), padded, tokens.k, tokens.v)
        rows = slice(before, before + q.shape[2])
        return out[:, :, rows], lse[:, :, rows], way

    def _check(self, q: Tensor, k: Tensor, v: Tensor, inputs: Inputs | None, call: Call) -> None:
        if self.dtype is None:
            check_dtype(self.engine, q.dtype)
        check_tensors(q, k, v, head_dim=self.shape.head_dim, dtype=self.dtype or q.dtype)
        for name, tensor, heads in (("q", q, self.shape.query_heads), ("k", k, self.shape.key_heads)):
            if tensor.shape[1] != heads:
                found = f"{tensor.shape[1]} heads, but the layer was compiled for {heads}"
                raise ArgumentError(name, found, "compile with heads= and kv_heads= as they are")
        cross = self.pattern.direction is Direction.CROSS
        check_placement(q, k, call, cross=cross)
        check_values(k, call)
        if inputs is not None:
            self._check_inputs(q, k, inputs, call)
        elif cross:
            remedy = "a cross pattern reads two sequences: give Inputs.cross(...)"
            raise ArgumentError("inputs", "missing", remedy)
        elif q.shape[2] != k.shape[2]:
            found = f"{q.shape[2]} queries and {k.shape[2]} keys"
            raise ArgumentError("q", found, "selections are made over the whole sequence: give inputs= of all of it")

    def _check_inputs(self, q: Tensor, k: Tensor, inputs: Inputs, call: Call) -> None:
        if call.spans is not None:
            raise ArgumentError("spans", "given with inputs", "let inputs state the lengths, with tokens at the front")
        sides = (("q", inputs.query, q if self.pattern.direction is Direction.CROSS else k), ("k", inputs.key, k))
        for name, side, tensor in sides:
            if side.shape[:2] != (tensor.shape[0], tensor.shape[2]):
                found = f"{side.shape[1]} tokens in a batch of {side.shape[0]}, beside {name} {tuple(tensor.shape)}"
                raise ArgumentError("inputs", found, "give the same tokens")
        positional = self.program is not None and (self.program.positional or self.program.gated)
        if self.pattern.direction is Direction.CROSS and inputs.query.lengths is not None and positional:
            remedy = "leave the lengths of the queries out: to positional terms all of them exist"
            raise ArgumentError("inputs", "lengths of queries, in a cross pattern with positional terms", remedy)


def _existing(x: Tensor, side: Side, first: int = 0, absent: float = 0.0) -> Tensor:
    """x [B, H, tokens ``first`` and on, D], ``absent`` where no token exists, whatever it held."""
    if side.lengths is None:
        return x
    exists = side.exists()[:, first : first + x.shape[2]]
    return x.masked_fill(~exists[:, None, :, None], absent)
