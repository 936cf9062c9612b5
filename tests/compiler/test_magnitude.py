"""Sizes of integers: what is said to fit does, for every length and rank; what overflows is refused by the engines."""

from __future__ import annotations

import pytest
import torch

import patternc as pc
from patternc.compiler.lowering.lower import lower
from patternc.compiler.magnitude import fits, largest, longest
from patternc.compiler.relations.integer import All, AnyOf, Binary, Compare, Const, Select, Var
from patternc.runtime.engines.engine import Call
from patternc.runtime.engines.triton.launching import parts
from patternc.runtime.errors import EngineError

STEEP = "pattern steep bidirectional { step { (i, j) : 30000000 * i + 29999999 * j >= 1500000000 } }"
"""At 36 tokens a sum passes 2**31."""

VAST = "pattern vast causal { step { (i, j) : (2^60 + 1) * i >= 2^60 * j + 2^61 } | self }"
"""At 8 tokens a product passes 2**63."""


def pattern(text):
    module = pc.loads(text)
    return module[next(iter(module.patterns))].bind()


def program(text):
    bound = pattern(text).bound
    return lower(bound.union, bound.direction, bound.name).program


def values(node, given):
    """Every intermediate value, by a walk of its own."""
    match node:
        case Const(value):
            found = [value]
        case Var(name):
            found = [given[name]]
        case Binary(operator, left, right):
            one, two = values(left, given), values(right, given)
            x, y = one[-1], two[-1]
            result = {
                "+": lambda: x + y,
                "-": lambda: x - y,
                "*": lambda: x * y,
                "//": lambda: x // y,
                "%": lambda: x % y,
                "min": lambda: min(x, y),
                "max": lambda: max(x, y),
            }[operator]()
            found = [*one, *two, result]
        case Select(condition, then, otherwise):
            one, two = values(then, given), values(otherwise, given)
            found = [*values(condition, given), *one, *two, max(one[-1], two[-1], key=abs)]
        case Compare(_, left, right):
            one, two = values(left, given), values(right, given)
            found = [*one, *two, one[-1] - two[-1]]
        case All(each) | AnyOf(each):
            found = [value for part in each for value in values(part, given)] or [0]
    return found


@pytest.mark.parametrize(
    "text",
    [
        STEEP,
        "pattern p causal { step local(5) | strided(4) }",
        "pattern p causal { step fixed(16, 3) | self }",
        "pattern p bidirectional { step { (i, j) : 3 * i <= 2 * j + n and 70 * (i mod 7) <= j } }",
    ],
)
def test_no_value_of_a_mask_is_larger(text):
    lowered, n = program(text), 60
    bound = largest(lowered, n)
    for term in lowered.terms:
        classes = range(term.query.classes)
        last, end = (order.ranks(0, n) - 1 for order in (term.query, term.key))
        for given in ({"n": n, "a": a, "b": b, "c": c} for a in (0, 7, last) for b in (0, 5, end) for c in classes):
            assert max(map(abs, values(term.keep, given))) <= bound


def test_the_longest_length_is_the_last_that_fits():
    lowered = program(STEEP)
    most = longest(lowered, 10**6, 32)
    assert most < 72  # at 71 a product of one rank alone is 2**31
    assert all(fits(lowered, n, 32) == (n <= most) for n in (most - 1, most, most + 1, 1000))
    plain = program("pattern p causal { step local(128) | strided(128) }")
    assert fits(plain, 1 << 24, 32) and fits(plain, 1 << 40, 64) and not fits(plain, 1 << 31, 32)


def test_kernels_are_not_launched_where_their_integers_overflow():
    """Before anything that needs Triton: they were launched, and read pairs that are not the pattern's."""
    from patternc.runtime.engines.triton.chains import Chains

    q = torch.zeros(1, 1, 120, 8)
    [part] = parts(q, q, Call(1.0))
    with pytest.raises(EngineError, match=r"'steep' overflow 32 bits .*; engine='compose'"):
        Chains.of(program(STEEP), q, q, part, None)


def test_what_kernels_do_not_take_compose_computes():
    q, k, v = (torch.randn(1, 1, 120, 8) for _ in range(3))
    found, wanted = (
        pc.compile(pattern(STEEP), head_dim=8, engine=engine)(q, k, v) for engine in ("compose", "reference")
    )
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("offset", [0, 59])
def test_compose_refuses_what_overflows_64_bits(offset):
    q = torch.randn(1, 1, 60, 8)
    compiled = pc.compile(pattern(VAST), head_dim=8, engine="compose")
    with pytest.raises(EngineError, match=r"'vast' overflow 64 bits .*; .*engine='reference'"):
        compiled(q[:, :, offset:], q, q, query_offset=offset)
    assert pc.compile(pattern(VAST), head_dim=8, engine="reference")(q, q, q).isfinite().all()
