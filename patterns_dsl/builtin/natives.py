"""The relations that the language has by itself, because no rule could say them.

blocks(r, b)            r over blocks of b tokens; `n` in r is then the number of blocks
dilate(r, d)            r within each residue class mod d: its tokens are d places apart
pooled(s)               summaries of s tokens each, of those that are complete and past
random(r, block, seed)  r key blocks for each query block, from a seeded table
document(ids)           the tokens of the query's own document; `ids` names an input at run time
select(hot)             the keys that a learned selection chooses for each query
refine(detail)          every pair of blocks at the level of detail that a selection chooses
"""

from __future__ import annotations

from ..diagnostics.source import Source, Span
from ..syntax import Integer, Parameter, ParameterType

_SPAN = Span(Source("natives", ""), 0, 0)


def _parameter(name: str, kind: ParameterType, default: int | None = None) -> Parameter:
    value = None if default is None else Integer(default, span=_SPAN)
    return Parameter(name, kind, value, span=_SPAN)


_INT, _RELATION = ParameterType.INT, ParameterType.RELATION

NATIVES: dict[str, tuple[Parameter, ...]] = {
    "blocks": (_parameter("r", _RELATION), _parameter("b", _INT)),
    "dilate": (_parameter("r", _RELATION), _parameter("d", _INT)),
    "pooled": (_parameter("s", _INT),),
    "random": (_parameter("r", _INT), _parameter("block", _INT, 1), _parameter("seed", _INT, 0)),
    # These take the name of a selection or of an input, which is no value.
    "document": (),
    "select": (),
    "refine": (),
}

SIGNATURES = {
    "blocks": "blocks(r: relation, b: int)",
    "dilate": "dilate(r: relation, d: int)",
    "pooled": "pooled(s: int)",
    "random": "random(r: int, block: int = 1, seed: int = 0)",
    "document": "document(ids)",
    "select": "select(selection)",
    "refine": "refine(selection)",
}
"""How each is called, for people."""

NAMED = frozenset({"document", "select", "refine"})
"""Those whose only argument is a name."""

LONE = frozenset({"pooled", "refine"})
"""Those whose keys are not tokens alone: a term of a union, and of nothing else."""
