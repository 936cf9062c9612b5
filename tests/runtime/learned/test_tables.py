"""Seeded tables under compose, against the reference engine: what is drawn, all calls, gradients, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from learned_layers import close

import patternc as pc
from patternc.compiler import seeded
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.runtime.engines.engine import Call
from patternc.runtime.errors import ArgumentError
from patternc.runtime.learned.pricing.effort import Speeds
from patternc.runtime.learned.pricing.speeds import assume
from patternc.runtime.learned.seeded import parts
from patternc.runtime.learned.seeded.drawn import draw
from patternc.testing.agreement import agree, results
from patternc.testing.machines import PLAIN_SPEEDS, QUICK_DENSE, QUICK_LISTS, SLOW_LISTS

MODULE = pc.loads("""
pattern blocky bidirectional { step blocks(local(2) | global(first(1) | last(1)), 8) | random(2, 8) }
pattern ragged causal { step local(5) | random(2, 7, seed = 3) - columns({3, 11..20}) }
pattern tokens causal { step self | random(3) }
pattern alone bidirectional { step random(2, 5) }
pattern two causal { step local(2) | random(3, 6) | random(2, 4, seed = 1) & { (i, j) : (i - j) mod 2 = 0 } }
pattern over cross { step { (i, j) : j < 3 } | random(2, 6) }
pattern doubled causal { step self | blocks(random(2, 3), 4) }
pattern window causal { step local(4) }
""")
N = 45
INT = torch.int32
CALLS = {
    "whole": (N, {}),
    "padded": (N, {"spans": torch.tensor([[6, N], [0, 31]], dtype=INT)}),
    "nothing in one": (N, {"spans": torch.tensor([[9, 9], [0, N]], dtype=INT)}),
    "one row": (1, {"query_offset": N - 1}),
    "late rows": (11, {"query_offset": 17}),
    "one row, padded": (1, {"query_offset": N - 1, "spans": torch.tensor([[3, N], [21, N]], dtype=INT)}),
    "late rows, padded": (11, {"query_offset": 17, "spans": torch.tensor([[3, 25], [20, N]], dtype=INT)}),
    "capped": (N, {"softcap": 1.5, "scale": -0.4}),
}


def tensors(rows: int, n: int = N, *, dtype=torch.float64, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(2, 4, rows, 16), *[(2, 2, n, 16)] * 2]
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes]


def both(name: str, dtype=torch.float64):
    return [pc.compile(MODULE[name], head_dim=16, dtype=dtype, engine=engine) for engine in ("compose", "reference")]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    ("n", "size", "seed", "count"), [(200, 16, 0, 3), (47, 5, 2**63 + 5, 4), (60, 1, 9, 2), (9, 4, 1, 7)]
)
def test_what_is_drawn_is_what_the_language_says(n: int, size: int, seed: int, count: int, causal: bool) -> None:
    total = -(-n // size)
    [found] = draw(count, seed, 0, total, torch.tensor([total]), total, causal=causal)
    query, key = np.arange(n)[:, None], np.arange(n)[None]
    table = seeded.drawn(query, key, n, count, size, seed, causal=causal)[::size, ::size]
    for row, wanted in zip(found.tolist(), table, strict=True):
        held = [block for block in row if block >= 0]
        assert held == np.flatnonzero(wanted).tolist() == sorted(held)
        assert row[len(held) :] == [-1] * (len(row) - len(held))
    [late] = draw(count, seed, total - 2, 2, torch.tensor([total]), total + 3, causal=causal)
    assert late[:, : found.shape[1]].tolist() == found[-2:].tolist()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", [name for name in MODULE if name not in ("over", "window")])
def test_as_the_reference(name: str, call: str) -> None:
    rows, arguments = CALLS[call]
    mine, theirs = (results(each, tensors(rows), **arguments) for each in both(name))
    agree(mine, theirs, budget=1e-9)


@pytest.mark.parametrize("call", ["whole", "padded", "late rows, padded"])
@pytest.mark.parametrize("name", ["blocky", "two"])
def test_as_the_reference_where_a_mask_is_faster(name: str, call: str) -> None:
    rows, arguments = CALLS[call]
    with assume(QUICK_DENSE):
        mine = results(both(name)[0], tensors(rows), **arguments)
    agree(mine, results(both(name)[1], tensors(rows), **arguments), budget=1e-9)


@pytest.mark.parametrize("speeds", [QUICK_LISTS, QUICK_DENSE], ids=["lists", "a mask"])
@pytest.mark.parametrize("place", ["q", "k", "v"])
def test_features_that_lie_apart(place: str, speeds: Speeds) -> None:
    """torch's kernel reads whole rows, whatever their strides say."""
    q, k, v = tensors(16)
    inputs = [q[:, :2], k, v]  # a query head for each key head: of more, lists make whole rows themselves
    far = [x.repeat_interleave(2, -1)[..., ::2] if name == place else x for name, x in zip("qkv", inputs, strict=True)]
    assert any(x.stride(-1) > 1 for x in far)
    compose, reference = both("blocky")
    with assume(speeds):
        found = results(compose, far, query_offset=16)
    agree(found, results(reference, inputs, query_offset=16), budget=1e-9)


@pytest.mark.parametrize("spans", [None, torch.tensor([[6, N], [0, 31]], dtype=INT)])
def test_two_sequences(spans) -> None:
    mine, theirs = (results(each, tensors(22), spans=spans) for each in both("over"))
    agree(mine, theirs, budget=1e-9)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9])
@pytest.mark.parametrize("name", ["blocky", "ragged", "alone"])
def test_few_tokens(name: str, n: int) -> None:
    mine, theirs = (results(each, tensors(n, n)) for each in both(name))
    agree(mine, theirs, budget=1e-9)


@pytest.mark.parametrize("speeds", [QUICK_LISTS, SLOW_LISTS], ids=["apart", "whole"])
@pytest.mark.parametrize("spoiled", [0, 1, 2])
def test_what_is_not_finite_spoils_those_that_attend_to_it(spoiled: int, speeds: Speeds) -> None:
    """By the rules of ``engines/guard.py``, read off the mask."""
    with assume(speeds):
        spoil(spoiled)


def spoil(spoiled: int) -> None:
    given, mask = [x.detach() for x in tensors(N)], MODULE["blocky"].mask(N)
    clean = results(both("blocky")[0], given)
    given[spoiled][0, 1, 20] = math.nan
    found = results(both("blocky")[0], given)
    rows = torch.zeros(2, 4, N, dtype=torch.bool)
    heads = [1] if spoiled == 0 else [2, 3]
    rows[0, heads] = torch.arange(N) == 20 if spoiled == 0 else mask[:, 20]
    keys = (rows.float() @ mask.float() > 0).view(2, 2, 2, N).any(2)
    nothing = torch.zeros_like(rows)
    for one, was, gone in zip(found, clean, (rows, nothing if spoiled == 2 else rows, rows, keys, keys), strict=True):
        gone = gone if one.dim() == 3 else gone[..., None].expand(one.shape)
        assert torch.equal(one.isnan(), gone)
        close(one.masked_fill(gone, 0.0), was.masked_fill(gone, 0.0))


@pytest.mark.parametrize("speeds", [QUICK_LISTS, SLOW_LISTS], ids=["apart", "whole"])
@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize("name", ["blocky", "ragged", "alone"])
def test_a_product_that_overflows_spoils_no_row_that_leaves_it_out(name: str, place: int, speeds: Speeds) -> None:
    """All numbers are finite; of one key the products with queries, or with gradients of out, are not in float32."""
    given = [x.detach() for x in tensors(N, dtype=torch.float32)]
    given[0].mul_(50)
    given[place][0, 0, 20] = 3e37
    weight = torch.randn(2, 4, N, 16, generator=torch.Generator().manual_seed(1)) * 50
    found = []
    with assume(speeds):
        for engine, dtype in (("compose", torch.float32), ("reference", torch.float64)):
            program = pc.compile(MODULE[name], head_dim=16, dtype=dtype, engine=engine)
            leaves = [x.to(dtype).requires_grad_() for x in given]
            out, lse = program(*leaves, return_lse=True)
            found.append((out, lse, *torch.autograd.grad((out * weight.to(dtype)).sum(), leaves)))
    touched = torch.zeros(2, 4, N, dtype=torch.bool)
    touched[0, :2] = MODULE[name].mask(N)[:, 20]
    keys = (touched.float() @ MODULE[name].mask(N).float() > 0).view(2, 2, 2, N).any(2)
    for mine, theirs, gone in zip(*found, (touched, touched, touched, keys, keys), strict=True):
        torch.testing.assert_close(mine[~gone].double(), theirs[~gone], rtol=1e-3, atol=1e-2)


def test_heads_of_other_patterns_beside() -> None:
    groups = [((0, 3), MODULE["blocky"]), ((2,), MODULE["alone"]), ((5,), MODULE["alone"])]
    leaves = tensors(N)
    q, k, v = torch.cat([leaves[0], leaves[0][:, :2] + 1], 1).detach().requires_grad_(), *leaves[1:]
    found = []
    for engine in ("compose", "reference"):
        program = pc.compile_heads(groups, heads=6, head_dim=16, dtype=torch.float64, engine=engine)
        out, lse = program(q, k, v, return_lse=True)
        found.append((out, lse, *torch.autograd.grad(out.sin().sum(), (q, k, v))))
    for mine, theirs in zip(*found, strict=True):
        close(mine, theirs)


def test_sinks_and_a_captured_graph() -> None:
    mine, theirs = both("ragged", torch.float32)
    given = tensors(N, dtype=torch.float32)
    sinks = torch.randn(4)
    torch.testing.assert_close(mine(*given, sinks=sinks), theirs(*given, sinks=sinks))
    graph = torch.compile(lambda q, k, v: mine(2 * q, k, v).sin(), fullgraph=True, backend="aot_eager")
    wanted = mine(2 * given[0], *given[1:]).sin()
    torch.testing.assert_close(graph(*given), wanted)
    slopes = [torch.autograd.grad(each.sum(), given) for each in (graph(*given), wanted)]
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other)


def test_lists_are_made_once_and_hold_nothing_in_vain() -> None:
    program = both("blocky")[0].program
    q, k, _ = tensors(N)
    (first, *_), (again, *_) = (parts.parts_of(program, "compose", q, k, Call(1.0)) for _ in range(2))
    assert first.lists[0] is again.lists[0]
    pairs = seeded.drawn(np.arange(N)[:, None], np.arange(N)[None], N, 2, 8, 0, causal=False)
    a, b = (x // 8 for x in np.mgrid[:N, :N])
    last = (N - 1) // 8
    pairs &= ~((abs(a - b) <= 1) | (a == 0) | (b == 0) | (a == last) | (b == last))
    entries = first.lists[0].entries[0, 0]
    found = [(row, block) for row, blocks in enumerate(entries.tolist()) for block in blocks if block >= 0]
    assert found == sorted({(i // 8, j // 8) for i, j in np.argwhere(pairs)})
    assert first.lists[0].bounds.within.parts == () and bool(entries.amax(0).ge(0).all())  # no mask, no empty column


def test_a_table_that_the_rest_holds_is_no_list() -> None:
    subject = pc.loads("pattern p causal { step local(n) | random(2, 8) }")["p"]
    engines = [pc.compile(subject, head_dim=16, dtype=torch.float64, engine=e) for e in ("compose", "reference")]
    mine, theirs = (results(each, tensors(N)) for each in engines)
    agree(mine, theirs, budget=1e-9)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("local(9) - random(2)", "a negation, a product `@` or an `or` over what a seeded table decides"),
        ("local(2) @ random(2)", "a negation, a product `@` or an `or` over what a seeded table decides"),
        ("random(2) & random(3)", "a term that a seeded table decides twice"),
        ("shift(random(2), 3)", "what a seeded table decides at other places than the query and the key"),
        ("transpose(random(2))", "what a seeded table decides at other places than the query and the key"),
    ],
)
def test_refused_but_by_the_reference(step: str, reason: str) -> None:
    subject = pc.loads(f"pattern p causal {{ step self | {step} }}")["p"]
    with pytest.raises(PatternError) as caught:
        pc.compile(subject, engine="compose")
    assert f"no engine runs {reason} yet" in str(caught.value)
    assert 'engine="reference" reads tables wherever they stand' in str(caught.value)
    pc.compile(subject, engine="reference")


def test_packed_documents_are_refused() -> None:
    q, k, v = (x[:1] for x in tensors(N))
    documents = torch.tensor([0, 20, N], dtype=INT)
    message = "argument 'documents': given to a pattern with a seeded table"
    with pytest.raises(ArgumentError, match=message):
        both("blocky")[0](q, k, v, documents=documents)
    groups = [((0, 1), MODULE["window"]), ((2, 3), MODULE["ragged"])]
    joined = pc.compile_heads(groups, head_dim=16, dtype=torch.float64, engine="compose")
    with pytest.raises(ArgumentError, match=message):
        joined(q, k, v, documents=documents)


def test_it_learns_nothing() -> None:
    with pytest.raises(ArgumentError, match="'blocky' learns nothing; leave heads= out"):
        pc.compile(MODULE["blocky"], heads=2)


def test_the_prediction_counts_the_lists() -> None:
    table, rest = (
        MODULE["blocky"],
        pc.loads("pattern p bidirectional { step blocks(local(2) | global(first(1) | last(1)), 8) }"),
    )
    with assume(PLAIN_SPEEDS):
        whole, part = (pc.compile(each, engine="compose").predict(512, heads=2) for each in (table, rest["p"]))
    for mine, less in ((whole.forward, part.forward), (whole.backward, part.backward)):
        *apart, together = sorted(mine.ways, key=lambda way: " and " not in way.name)
        assert {way.name.split(" and ")[0] for way in apart} == {way.name for way in less.ways}
        assert all(way.name.endswith((" and lists", " and a mask")) for way in apart)
        assert min(way.seconds for way in apart) > less.chosen.seconds and mine.dense == less.dense
        assert together.name in ("strips of the whole", "dense under a mask")
    alone = pc.compile(MODULE["alone"], engine="compose").predict(64)
    assert [way.name for way in alone.forward.ways] in (["lists"], ["a mask"])
