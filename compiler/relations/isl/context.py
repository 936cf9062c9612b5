"""The context that every set lives in, and the budgets over it.

Set computations are bounded: inside ``budget(k)`` isl stops after k of its operations, at the same place on every
machine, and ``BudgetExceeded`` is raised; the context stays usable. It counts for all threads together, so that
one thread at a time has a budget: another one waits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from threading import RLock
from time import monotonic

import islpy as isl

from ...ceiling import Heavier, capped

CONTEXT = isl.Context()
CONTEXT.set_ast_build_detect_min_max(1)
# Off: rewriting floor((n - a - 1) / 5) as a remainder, isl 0.27 printed a % 5 for (a - n) % 5. confirm caught it.
CONTEXT.set_ast_build_prefer_pdiv(0)

PROOF_OPERATIONS = 300_000
"""The stock proofs need a small part of this; an explosive formula stops after a fraction of a second."""


_turn = RLock()


def _fresh_turn() -> None:
    global _turn
    _turn = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_fresh_turn)  # the thread that had its turn is not in the child


class BudgetExceeded(Exception):
    """A set computation did not finish within its budget."""


@contextmanager
def budget(operations: int = PROOF_OPERATIONS) -> Iterator[None]:
    """Bound the set computations inside; raises ``BudgetExceeded`` where they run over, ``Heavier`` where a ceiling
    keeps them from going on."""
    with _turn:
        outer, allowed = CONTEXT.get_max_operations(), capped(operations)
        CONTEXT.reset_operations()
        CONTEXT.set_max_operations(allowed)
        begun = monotonic()
        try:
            yield
        except (isl.Error, TypeError, AttributeError):  # where isl stops while it prints a number, islpy reads None
            if not _spent():
                raise
            if allowed < operations:
                raise Heavier(f"more than {allowed} operations", monotonic() - begun) from None
            raise BudgetExceeded(f"more than {operations} operations") from None
        finally:
            CONTEXT.reset_operations()
            CONTEXT.set_max_operations(outer)


def _spent() -> bool:
    """Whether the budget is used up. The error does not always tell: a text that isl stops reading half way through
    is reported as a syntax error."""
    try:
        isl.Set.read_from_str(CONTEXT, "{ [i] : i >= 0 }").is_empty()
    except isl.Error:
        return True
    return False


def quote(name: str) -> str:
    """A name as it may stand in a formula: isl reads ``max``, ``mod`` or ``exists`` as keywords, so all are tagged."""
    return f"v_{name}"


# isl's objects are immutable, and the passes ask for the same few renamings and tilings again and again.
@lru_cache(maxsize=4096)
def parsed_map(text: str) -> isl.Map:
    return isl.Map.read_from_str(CONTEXT, text)


@lru_cache(maxsize=4096)
def parsed_set(text: str) -> isl.Set:
    return isl.Set.read_from_str(CONTEXT, text)


def listed(names: Sequence[str]) -> str:
    return ", ".join(quote(name) for name in names)


def space(parameters: Sequence[str], body: str) -> str:
    return f"[{listed(parameters)}] -> {{ {body} }}"
