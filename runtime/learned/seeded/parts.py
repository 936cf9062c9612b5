"""The lists of a call under a pattern with seeded tables, and where its tensors stand.

A table is the same in every call of a length, and so are its lists: they are made once, on the CPU, without what the
positional part has, and kept. Of a padded batch each element has a length and so lists of its own, made in every call.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial

import torch
from torch import Tensor

from ....compiler.lowering.learned import LearnedProgram
from ....compiler.passes.pinned import Pinned
from ....compiler.relations.integer import TRUE
from ....patterns_dsl.syntax import Direction
from ...engines.engine import Call
from ...engines.listed import Listed
from ..bind import Tokens, begin_of, bind_lists
from ..lists.held import HeldBlocks
from ..lists.key_lists import KeyLists
from ..lists.standing import Standing, stand
from ..lists.trimmed import trimmed
from ..running.products import Scores
from ..softmax import Parts


def parts_of(
    program: LearnedProgram, engine: str, q: Tensor, k: Tensor, call: Call
) -> tuple[Parts, Standing, Listed | None]:
    """``engine``: the name of the one that reads the lists. Positional parts are none of these. Last the same lists as
    the kernels of the positional part take them, for the engine triton; None where they cannot."""
    queries, batch, device = q.shape[2], q.shape[0], q.device
    # A kernel is compiled for each size of a tile, so it has but one of other than the declared ones.
    narrow = engine == "compose" or queries == 1
    begin = partial(begin_of, program.parts, {}, narrow=narrow)
    standing = stand(queries, k.shape[2], call, begin, cross=program.parts.direction is Direction.CROSS)
    if standing.front is None:
        lists, listed = _standing_lists(Pinned(program), standing.first, standing.rows, k.shape[2], batch, device)
    else:
        lists, listed = _lists(program, standing, *standing.counts(batch, device)), None
    if engine != "triton" or not standing.plain:
        listed = None
    return Parts((), lists, Scores(call.scale, call.softcap), engine), standing, listed


@lru_cache(maxsize=64)
def _standing_lists(
    pinned: Pinned[LearnedProgram], first: int, rows: int, keys: int, batch: int, device: torch.device
) -> tuple[tuple[KeyLists, ...], Listed | None]:
    """Of elements without padding."""
    cross = pinned.program.parts.direction is Direction.CROSS
    standing = Standing(first, rows, keys, first, rows, keys, None, cross)
    made = _lists(pinned.program, standing, *standing.counts(1, torch.device("cpu")))
    if not any(each.bounds.earlier for each in made):
        made = tuple(trimmed(each, rows) for each in made)
    made = tuple(each for each in made if each.entries.shape[-1])
    table = 0 if pinned.program.positional is None else pinned.program.positional.table
    listed = _listed(made, table, first, rows, keys, device) if table else None
    return tuple(_moved(each, batch, device) for each in made), listed


def _listed(
    made: tuple[KeyLists, ...], table: int, first: int, rows: int, keys: int, device: torch.device
) -> Listed | None:
    """What the kernels of a program with blocks of ``table`` tokens take: all queries of one sequence, and of the lists
    whole blocks alone, of which every pair is kept."""
    if len(made) != 1 or first or rows != keys:
        return None
    [lists] = made
    entries, bounds = lists.entries[0, 0], lists.bounds
    if lists.groups != 1 or lists.tile != table or lists.block != table or lists.since is not None:
        return None
    if bounds.within != TRUE or bounds.causal or bounds.earlier:
        return None
    whole = keys // table  # the last block may be ragged
    if bool((entries[whole:] >= 0).any()) or bool((entries >= whole).any()):
        return None
    return Listed.of(entries, device)


def _lists(program: LearnedProgram, standing: Standing, queries: Tensor, keys: Tensor) -> tuple[KeyLists, ...]:
    # Of keys and values the number counts.
    tokens = torch.empty(len(keys), 1, standing.keys, 0, device=keys.device)
    own = Tokens(tokens, tokens, queries, keys)
    return bind_lists(program.parts, {}, own, standing.first, standing.rows)


def _moved(lists: KeyLists, batch: int, device: torch.device) -> KeyLists:
    """To a device, for so many elements; what kernels make of them is kept."""

    def length(x: Tensor) -> Tensor:
        return x.expand(batch).contiguous().to(device)

    bounds, earlier = lists.bounds, []
    for each in bounds.earlier:
        assert isinstance(each.held, HeldBlocks)  # of another table
        earlier.append(replace(each, held=replace(each.held, chosen=each.held.chosen.to(device))))
    lengths = {name: length(each) for name, each in bounds.lengths.items()}
    own = replace(
        bounds, queries=length(bounds.queries), keys=length(bounds.keys), lengths=lengths, earlier=tuple(earlier)
    )
    return replace(lists, bounds=own, entries=lists.entries.to(device), made={})
