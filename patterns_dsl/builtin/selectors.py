"""The selectors that `learn` can name: their options, and what holds of whatever they select.

A selection is made at run time, from learned parameters and from the input. What a proof may know of it is its
contract: pairs (or positions) that are selected whatever happens, pairs that could be, and selections that can really
occur, which show that a claim does not follow. The formulas of a contract are in the language itself, over the
coordinates ``i``, ``j`` (a relation) or ``t`` (a set), with the options as parameters.

    importance   a set: tokens that all attend to, that attend to all, or both (Wang et al. 2022, section 3)
    topk         a set of k tokens, by scores of the tokens alone (Lou et al. 2024, SparseK)
    topk_blocks  k key blocks for each query block (Gao et al. 2024, SeerAttention; Lu et al. 2025, MoBA)
    topk_keys    k keys for each query, or for each tile of queries (DeepSeek-AI 2025, DSA)
    granularity  a level of detail for each pair of blocks
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from ..syntax import Direction, Option

Values: TypeAlias = Mapping[str, Option]


class Role(Enum):
    """What a selection is, and so where it may stand."""

    SET = "a set of positions: use it as one, as in `columns({name})`"
    RELATION = "the keys of each query: write `select({name})`"
    LEVELS = "a level of detail for each pair of blocks: write `refine({name})`"


@dataclass(frozen=True, slots=True)
class OptionType:
    """``kind`` int: a number of at least ``least``; ratio; word: one of ``words``; words: some of them.

    A default of None means that the option must be given. ``cross`` is the default in a cross pattern, if another.
    """

    kind: Literal["int", "ratio", "word", "words"]
    default: Option | None
    least: int = 1
    words: tuple[str, ...] = ()
    cross: Option | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """``must`` and each example are formulas of the language; ``most`` bounds the keys of one query."""

    must: str
    examples: tuple[tuple[str, str], ...]
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A selector. ``contract`` makes it from the options and the direction; it may speak of every int option."""

    role: Role
    options: Mapping[str, OptionType]
    contract: Callable[[Values, Direction], Contract]


MEDIUM_SIZE = 4
"""Tokens in a summary of the level medium."""


def level_cost(level: str, block: int) -> float:
    """As a share of what it costs to attend to a block finely: the keys that are read."""
    return {"skip": 0.0, "coarse": 1 / block, "medium": 1 / MEDIUM_SIZE, "fine": 1.0}[level]


NEVER, ALWAYS = "0 = 1", "0 = 0"
_RELAX = OptionType("word", "soft_topk", words=("soft_topk", "lapsum", "sparsek"))
_FORCED = {"first": "first", "diagonal": "diagonal"}


def _importance(values: Values, direction: Direction) -> Contract:
    return Contract(NEVER, (("chooses nothing", NEVER), ("chooses every token", ALWAYS)))


def _topk(values: Values, direction: Direction) -> Contract:
    examples = [("chooses the first {k} tokens", "t < k")]
    if direction is Direction.BIDIRECTIONAL:
        examples.append(("chooses the last {k} tokens", "t >= n - k"))
    return Contract(NEVER, tuple(examples), _int(values, "k"))


def _topk_blocks(values: Values, direction: Direction) -> Contract:
    k, forced = _int(values, "k"), _words(values, "forced")
    must = {"first": "j < block", "diagonal": "i div block = j div block"}
    other = k - ("diagonal" in forced)  # the first block is among the first blocks
    behind = k - ("first" in forced)  # and the query's own block among the nearest
    always = " or ".join(must[word] for word in forced) or NEVER
    # Where fewer than k blocks lie before a query's own, later ones make up the number, if they can be seen.
    full = f"(i div block < {k - 1} and j div block < {k})"
    return Contract(
        always,
        (
            ("chooses the first {k} blocks", f"{always} or j div block < {other} or {full}"),
            (
                "chooses the nearest {k} blocks",
                f"{always} or (i div block - {behind} < j div block and j div block <= i div block) or {full}",
            ),
        )
        if direction is not Direction.CROSS
        else (("chooses the first {k} blocks", f"{always} or j div block < {k}"),),
        k * _int(values, "block"),
    )


def _topk_keys(values: Values, direction: Direction) -> Contract:
    """The queries of a tile share their keys. In a causal pattern they share the scores, and each takes the k best of
    the keys up to itself, so that none knows what comes after it: as if each were alone in its tile."""
    k, forced = _int(values, "k"), _words(values, "forced")
    must = {"first": "j = 0", "diagonal": "i = j"}
    other = k - ("diagonal" in forced)
    # Alone in its tile, a query has itself among its nearest keys.
    alone = _int(values, "tile") == 1 or direction is Direction.CAUSAL
    shared = k if alone else other
    always = " or ".join(must[word] for word in forced) or NEVER
    end = "i" if alone else "min(i div tile * tile + tile - 1, n - 1)"
    nearest = f"({end} - {shared - ('first' in forced)} < j and j <= {end})"
    # Where fewer keys lie before the end of a tile, later ones make up the number, if they can be seen.
    nearest = f"{always} or {nearest} or ({end} < {shared - 1} and j < {shared})"
    earliest = f"{always} or j < {other}" + (f" or (i < {k - 1} and j < {k})" if alone else "")
    words = "chooses the first {k} keys", "chooses the nearest {k} keys"
    if direction is Direction.CROSS:
        return Contract(always, ((words[0], f"{always} or j < {k}"),), k)
    return Contract(always, ((words[0], earliest), (words[1], nearest)), k)


def _granularity(values: Values, direction: Direction) -> Contract:
    own = NEVER if direction is Direction.CROSS else "i div block = j div block"
    if "skip" not in _words(values, "levels"):
        return Contract(ALWAYS, (("keeps every pair of blocks", ALWAYS),))
    return Contract(own, (("skips all it may", own), ("keeps every pair of blocks", ALWAYS)))


KINDS: dict[str, Kind] = {
    "importance": Kind(
        Role.SET,
        {
            "budget": OptionType("ratio", 0.1),
            "gate": OptionType("word", "gumbel_sigmoid", words=("gumbel_sigmoid", "sigmoid")),
        },
        _importance,
    ),
    "topk": Kind(
        Role.SET,
        {
            "k": OptionType("int", None),
            "per": OptionType("word", "group", words=("head", "group", "layer")),
            "relax": _RELAX,
        },
        _topk,
    ),
    "topk_blocks": Kind(
        Role.RELATION,
        {
            "k": OptionType("int", None),
            "block": OptionType("int", 64),
            "scores": OptionType("word", "learned", words=("learned", "pooled")),
            "forced": OptionType("words", ("first", "diagonal"), words=tuple(_FORCED), cross=()),
            "relax": _RELAX,
        },
        _topk_blocks,
    ),
    "topk_keys": Kind(
        Role.RELATION,
        {
            "k": OptionType("int", None),
            "tile": OptionType("int", 64),
            "forced": OptionType("words", ("diagonal",), words=tuple(_FORCED), cross=()),
            "relax": _RELAX,
        },
        _topk_keys,
    ),
    "granularity": Kind(
        Role.LEVELS,
        {
            "block": OptionType("int", 32),
            "levels": OptionType(
                "words", ("skip", "coarse", "medium", "fine"), words=("skip", "coarse", "medium", "fine")
            ),
            "budget": OptionType("ratio", 0.25),
        },
        _granularity,
    ),
}


def _int(values: Values, name: str) -> int:
    value = values[name]
    assert isinstance(value, int)
    return value


def _words(values: Values, name: str) -> tuple[str, ...]:
    value = values[name]
    assert isinstance(value, tuple)
    return value
