"""A pattern with learned terms as dense attention in float64, its masks evaluated pair by pair from the text.

Of the compiler only the reading of the text is used, so that whatever agrees with this agrees with the text. A pair
that several terms hold is the first one's: of the positional terms, then the gated ones, then the selections by their
use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ...compiler import bruteforce
from ...compiler.passes.choices import Gates, Use, chosen, readable
from ...compiler.relations.settle import drawn, opens
from ...patterns_dsl.syntax import BoundPattern, Direction, Expression, Pooled
from ..selectors.dense import Written, with_gate, written_out
from ..selectors.inputs import Inputs, Side
from ..selectors.reference import Summaries, Term, gated_attention
from ..selectors.selection import Selection, TermGate
from .bind import Tokens
from .running.products import Scores

_POSITIONAL, _GATED, _SELECTED = range(3)


def dense(
    pattern: BoundPattern, selections: Mapping[str, Selection], q: Tensor, tokens: Tokens, scores: Scores
) -> tuple[Tensor, Tensor]:
    """(out, lse) as ``softmax.attend`` has them. O(Nq Nk) memory."""
    kinds = {selector.name: selector.kind for selector in pattern.selectors}
    written = _Written(pattern.direction, kinds, selections, q, tokens, range(q.shape[2]))
    found = readable(pattern.union, pattern.direction, kinds, tables=True)
    pairs = [each for each in found if not isinstance(each[0], Pooled)]
    terms = [term for each in sorted(pairs, key=written.rank) for term in written.terms(*each)]
    summaries = tuple(written.summaries(found))
    out, lse = gated_attention(q, tokens.k, tokens.v, terms, summaries, scale=scores.scale, softcap=scores.softcap)
    return out.to(q.dtype), lse.to(torch.promote_types(q.dtype, torch.float32))


@dataclass(frozen=True, slots=True, eq=False)
class ReadPairs:
    """Of R queries, bool [B, Hq, R, Nk]: the pairs that are read one by one under some open gate, ``every`` one; those
    of them that are read by choice alone, ``chosen``: neither a term without a selection nor what a selection is forced
    to take has them; those whose key is in a summary that is read, ``summed``. ``summaries`` int64 [B, Hq, R]: how many
    are read."""

    every: Tensor
    chosen: Tensor
    summed: Tensor
    summaries: Tensor


def read_pairs(
    pattern: BoundPattern, selections: Mapping[str, Selection], q: Tensor, tokens: Tokens, queries: range
) -> ReadPairs:
    """What ``dense`` reads for these queries, R of them in a row; of q the shape counts, [B, Hq, Nq, D]. O(Hq R Nk)
    memory."""
    kinds = {selector.name: selector.kind for selector in pattern.selectors}
    written = _Written(pattern.direction, kinds, selections, q, tokens, queries)
    found = readable(pattern.union, pattern.direction, kinds, tables=True)
    shape = (*q.shape[:2], len(queries), tokens.k.shape[2])
    every, chosen_pairs, given, summed = (torch.zeros(shape, dtype=torch.bool, device=q.device) for _ in range(4))
    for term, gates in found:
        if isinstance(term, Pooled):
            continue
        held = torch.stack([_held(part).expand(shape) for part in written.terms(term, gates)]).any(0)
        every |= held
        if opens(term):
            chosen_pairs |= held
            held = held & written.mask(term, "must")
        given |= held
    count = torch.zeros(shape[:3], dtype=torch.int64, device=q.device)
    for part in written.summaries(found):
        held = _held(part)
        count = count + held.sum(-1)
        by_token = held.repeat_interleave(part.size, -1)[..., : shape[-1]]
        summed[..., : by_token.shape[-1]] |= by_token
    return ReadPairs(every, chosen_pairs & ~given, summed, count)


def _held(part: Term | Summaries) -> Tensor:
    return part.pairs if part.log_gate is None else part.pairs & ~part.log_gate.isneginf()


@dataclass(frozen=True, slots=True)
class _Written:
    """The terms of one call, written out for some queries in a row."""

    direction: Direction
    kinds: Mapping[str, str]
    selections: Mapping[str, Selection]
    q: Tensor
    tokens: Tokens
    queries: range

    def rank(self, each: tuple[Expression, Gates]) -> tuple[int, int]:
        term, gates = each
        if drawn(term) and not opens(term):  # wherever the table stands in it
            return _SELECTED, Use.TABLE.rank
        if opens(term):
            return _SELECTED, chosen(term, self.kinds)[1].rank
        return (_GATED if gates else _POSITIONAL), 0

    def terms(self, term: Expression, gates: Gates) -> Iterator[Term]:
        mask = self.mask(term, "may")
        if not opens(term):
            yield self._gated(Term(mask), gates)
            return
        source, use = chosen(term, self.kinds)
        found, _ = self._written(str(source))
        if use in (Use.COLUMNS, Use.ROWS):
            found = (found[use is Use.ROWS],)
        for part in found:
            yield self._gated(replace(part, pairs=part.pairs & mask), gates)

    def summaries(self, found: tuple[tuple[Expression, Gates], ...]) -> Iterator[Summaries]:
        """Of pooled terms, the same summaries but once, and of levels."""
        sizes: dict[int, list[Gates]] = {}
        for term, gates in found:
            if isinstance(term, Pooled):
                sizes.setdefault(term.size, []).append(gates)
            elif opens(term) and chosen(term, self.kinds)[1] is Use.LEVELS:
                for part in self._written(str(chosen(term, self.kinds)[0]))[1]:
                    gate = self._log_gate(gates)
                    yield part if gate is None else replace(part, log_gate=_sum(part.log_gate, gate))
        for size, choices in sizes.items():
            [part] = self._written(f"pooled({size})")[1]
            yield replace(part, log_gate=self._first_open(choices))

    def _first_open(self, choices: list[Gates]) -> Tensor | None:
        result: Tensor | None = torch.full((self.q.shape[1], 1, 1), -torch.inf, device=self.q.device)
        for gates in choices:
            gate = self._log_gate(gates)
            if result is not None:
                gate = torch.zeros_like(result) if gate is None else gate
                result = torch.where(result.isneginf(), gate, result)
        return result

    def _gated(self, term: Term, gates: Gates) -> Term:
        for gate in gates:
            found = self.selections[gate]
            assert isinstance(found, TermGate)
            term = with_gate(term, found)
        return term

    def _log_gate(self, gates: Gates) -> Tensor | None:
        """[Hq, 1, 1]."""
        return self._gated(Term(self.q), gates).log_gate

    def _written(self, source: str) -> Written:
        selection = self.selections[source]
        assert not isinstance(selection, TermGate)
        inputs = Inputs(
            Side(heads=self.q, lengths=self.tokens.queries), Side(heads=self.tokens.k, lengths=self.tokens.keys)
        )
        return written_out(selection, inputs, self.tokens.k, self.tokens.v, self.q.shape[1], self.queries)

    def mask(self, term: Expression, extent: Literal["must", "may"]) -> Tensor:
        """bool [B, 1, R, Nk]: the pairs of a term whatever is chosen, or under some choice."""
        found = torch.zeros(self.q.shape[0], 1, len(self.queries), self.tokens.k.shape[2], dtype=torch.bool)
        for element, (rows, keys) in enumerate(
            zip(self.tokens.queries.tolist(), self.tokens.keys.tolist(), strict=True)
        ):
            cross = keys if self.direction is Direction.CROSS else None
            existing = [*self.queries[: max(0, rows - self.queries.start)]]
            own = bruteforce.block(term, self.direction, rows, cross, queries=existing, choice=extent)
            found[element, 0, : len(existing), :keys] = torch.from_numpy(own)
        return found.to(self.q.device)


def _sum(one: Tensor | None, other: Tensor) -> Tensor:
    return other if one is None else one + other
