"""Bad numbers, empty and enormous shapes, tensors of any strides: what a call must bear."""

from __future__ import annotations

import math

import pytest
import torch

import patternc as pc

PATTERNS = ["window", "factorized", "both", "tail", "gaps"]
N = 40
engines = pytest.mark.parametrize("engine", ["reference", "compose"])


def run(program, inputs, weight, slope, **options):
    """out, lse, dq, dk, dv."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    out, lse = program(*leaves, return_lse=True, **options)
    alive = lse != -math.inf
    return [out, lse, *torch.autograd.grad((out * weight).sum() + (lse * slope)[alive].sum(), leaves)]


@pytest.mark.parametrize("options", [{}, {"softcap": 2.0}, {"query_offset": 29}])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["q", "k", "v", "gradient of out", "gradient of lse"])
@pytest.mark.parametrize("name", PATTERNS)
@engines
def test_what_is_not_attended_to_has_no_influence(patterns, engine, name, place, bad, options):
    """One spoiled token of one head: the rows and keys that depend on it are not finite, all others as before.

    The reference computes with infinity as with any number, and may get a finite result: exp(-inf) is 0.
    """
    surely = engine != "reference" or math.isnan(bad)
    program = pc.compile(patterns(name), head_dim=8, engine=engine)
    first = options.get("query_offset", 0)
    rows = N if not first else 7
    q, k, v = torch.randn(2, 4, rows, 8), torch.randn(2, 2, N, 8), torch.randn(2, 2, N, 8)
    weight, slope = torch.randn(2, 4, rows, 8), torch.randn(2, 4, rows)
    clean = run(program, (q, k, v), weight, slope, **options)
    pairs = patterns(name).mask(N)[first : first + rows]
    row, key = rows - 3, N - 4  # an attended key, but for patterns that leave it out
    at = key if place in ("k", "v") else row
    {"q": q, "k": k, "v": v, "gradient of out": weight, "gradient of lse": slope[..., None]}[place][1, 1, at, 0] = bad
    touched = torch.zeros(2, 4, rows, dtype=torch.bool)
    if place in ("k", "v"):
        touched[1, 2:4] = pairs[:, key]  # the query heads of key head 1
    else:
        touched[1, 1, row] = pairs[row].any()
    keys = (touched[:, :, :, None] & pairs).any(2).view(2, 2, 2, N).any(2)
    out, lse, dq, dk, dv = run(program, (q, k, v), weight, slope, **options)
    forward = place in ("q", "k", "v")
    expect(out, clean[0], touched if forward else None, must=surely)
    expect(lse, clean[1], touched if place in ("q", "k") else None, must=surely)
    expect(dq, clean[2], touched, must=surely)
    expect(dk, clean[3], keys, must=surely)
    # v holds no number that the gradient of a value depends on, nor does lse's own gradient; an engine may say NaN.
    expect(dv, clean[4], keys, must=surely and place in ("q", "k", "gradient of out"))


def expect(found, clean, spoiled, *, must=True):
    """Not finite where spoiled (or, unless it must be, as before), and as before elsewhere."""
    if spoiled is None:
        spoiled = torch.zeros(found.shape[:3], dtype=torch.bool)
    finite = found.isfinite() | (found == -math.inf)
    each = finite.all(-1) if found.dim() == 4 else finite
    assert not (each & spoiled).any() or not must
    assert (each | spoiled).all()
    torch.testing.assert_close(found[~spoiled], clean[~spoiled], rtol=0, atol=2e-5)


@engines
def test_packed_documents_keep_bad_numbers_to_themselves(patterns, engine):
    program = pc.compile(patterns("both"), head_dim=8, engine=engine)
    documents = torch.tensor([0, 9, 18, 30], dtype=torch.int32)
    inputs = [torch.randn(1, 2, 30, 8) for _ in range(3)]
    clean = program(*inputs, documents=documents)
    for x in inputs:
        x[:, :, 9:18] = math.nan
    found = program(*inputs, documents=documents)
    assert found[:, :, 9:18].isnan().all()
    torch.testing.assert_close(found[:, :, :9], clean[:, :, :9])
    torch.testing.assert_close(found[:, :, 18:], clean[:, :, 18:])


def test_nobody_looks_where_that_is_not_asked_for(patterns, monkeypatch):
    from patternc.runtime.engines import guard

    program = pc.compile(patterns("window"), head_dim=8, engine="compose")
    q, k, v = (torch.randn(1, 2, 30, 8).requires_grad_() for _ in range(3))
    whole = program(q, k, v)
    monkeypatch.setattr(guard, "finite", lambda *_: pytest.fail("the numbers were summed up"))
    unlooked = program(q, k, v, check_finite=False)
    torch.testing.assert_close(unlooked, whole)
    unlooked.sum().backward()


def test_nobody_looks_at_the_keys_of_a_decoding_step(patterns, monkeypatch):
    """A row attends to all keys that it reads: what is not finite shows in it."""
    from patternc.runtime.engines import guard

    program = pc.compile(patterns("dense"), head_dim=8, engine="compose")
    q, k, v = (torch.randn(1, 2, 70, 8) for _ in range(3))
    whole, finite = program(q, k, v), guard.finite
    monkeypatch.setattr(guard, "finite", lambda *found: max(x.shape[2] for x in found) == 1 and finite(*found))
    torch.testing.assert_close(program(q[:, :, 69:], k, v, query_offset=69), whole[:, :, 69:])


@pytest.mark.parametrize("place, bad", [("q", math.inf), ("k", -math.inf), ("k", math.nan), ("v", math.inf)])
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_a_row_that_attends_to_all_keys_that_it_reads(patterns, place, bad, softcap):
    """Nothing is masked. The scores of an infinite key are made infinite and positive: one of -inf weighs nothing."""
    program = pc.compile(patterns("dense"), head_dim=8, engine="compose")
    q, k, v = torch.randn(1, 2, 1, 8), torch.randn(1, 2, 90, 8), torch.randn(1, 2, 90, 8)
    q[..., 3] = -1.0
    {"q": q, "k": k, "v": v}[place][0, 1, 0, 3] = bad
    options = {"query_offset": 89, "softcap": softcap}
    out, lse, *gradients = run(program, (q, k, v), torch.randn(1, 2, 1, 8), torch.randn(1, 2, 1), **options)
    assert out[0, 1].isnan().all() and out[0, 0].isfinite().all()
    assert lse[0, 1].isnan().all() == (place != "v") and lse[0, 0].isfinite().all()
    for gradient in gradients:
        assert gradient[0, 1].isnan().all() and gradient[0, 0].isfinite().all()


def test_a_scale_of_zero_hides_no_number(patterns):
    program = pc.compile(patterns("window"), head_dim=8, engine="compose")
    q, k, v = (torch.randn(1, 2, N, 8) for _ in range(3))
    q[0, 1, 5, 2] = math.nan
    out, lse, dq, *_ = run(program, (q, k, v), torch.randn(1, 2, N, 8), torch.randn(1, 2, N), scale=0.0)
    for found in (out, lse, dq):
        assert found[0, 1, 5].isnan().all() and int(found.isnan().sum()) == found[0, 1, 5].numel()


@pytest.mark.parametrize("n", [1, 2, 7, 15, 16, 17, 33, 70])
@pytest.mark.parametrize("name", ["dense", "both", "window"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_query_of_nan_is_seen_whatever_the_length(patterns, name, n, dtype):
    """Of fewer keys than a vector register holds torch's kernel takes such a row for one without keys, and gives 0."""
    program = pc.compile(patterns(name), head_dim=8, dtype=dtype, engine="compose")
    q, k, v = (torch.randn(1, 1, n, 8).to(dtype) for _ in range(3))
    for at in {0, n // 2, n - 1}:
        spoiled = q.clone()
        spoiled[0, 0, at, 2] = math.nan
        expected = torch.arange(n) == at
        for rows, options in ((slice(0, n), {}), (slice(at, at + 1), {"query_offset": at})):
            out, lse = program(spoiled[:, :, rows], k, v, return_lse=True, **options)
            assert torch.equal(out[0, 0].isnan().all(-1), expected[rows])
            assert torch.equal(lse[0, 0].isnan(), expected[rows])


@engines
@pytest.mark.parametrize("name", PATTERNS)
def test_finite_numbers_whose_sum_is_not(patterns, engine, name):
    """The sum overflows; the numbers are looked at one by one, and found to be good."""
    program = pc.compile(patterns(name), head_dim=8, engine=engine)
    q, k, v = torch.randn(1, 2, N, 8) * 1e-3, torch.randn(1, 2, N, 8), torch.full((1, 2, N, 8), 3e36)
    alive = patterns(name).mask(N).any(-1)
    out = program(q, k, v)
    torch.testing.assert_close(out[:, :, alive], v[:, :, alive], rtol=1e-5, atol=0)
    assert (out[:, :, ~alive] == 0).all()


@pytest.mark.parametrize("options", [{}, {"softcap": 2.0}, {"query_offset": 29}])
@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("place", ["k", "v"])
def test_a_product_that_overflows_spoils_no_row_that_leaves_it_out(patterns, name, place, options):
    """All numbers are finite; of one key the products with queries, or with gradients of out, are not in float32."""
    first = options.get("query_offset", 0)
    rows = N if not first else 7
    q, k, v = torch.randn(1, 4, rows, 8) * 50, torch.randn(1, 2, N, 8), torch.randn(1, 2, N, 8)
    weight, slope = torch.randn(1, 4, rows, 8) * 50, torch.randn(1, 4, rows)
    {"k": k, "v": v}[place][0, 0, N - 4] = 3e37
    program = pc.compile(patterns(name), head_dim=8, engine="compose")
    exact = pc.compile(patterns(name), head_dim=8, engine="reference", dtype=torch.float64)
    out, lse, dq, dk, dv = run(program, (q, k, v), weight, slope, **options)
    expected = run(exact, [x.double() for x in (q, k, v)], weight.double(), slope.double(), **options)
    pairs = patterns(name).mask(N)[first : first + rows]
    heads = torch.tensor([True, True, False, False])[None, :, None]  # that read the key head
    touched = heads & pairs[:, N - 4]
    assert not touched[0, 0].all()
    for mine, theirs in zip((out, lse, dq), expected, strict=False):
        torch.testing.assert_close(mine[~touched].double(), theirs[~touched], rtol=1e-3, atol=1e-2)
    keys = (touched[..., None] & pairs).any(2)[:, [0, 2]]
    for mine, theirs in zip((dk, dv), expected[3:], strict=True):
        torch.testing.assert_close(mine[~keys].double(), theirs[~keys], rtol=1e-3, atol=1e-2)


@engines
@pytest.mark.parametrize("batch, heads, n", [(1, 2, 0), (0, 2, 5), (1, 2, 1)])
def test_shapes_with_nothing_in_them(patterns, engine, batch, heads, n):
    program = pc.compile(patterns("window"), head_dim=8, engine=engine)
    q = torch.randn(batch, heads, n, 8).requires_grad_()
    k, v = (torch.randn(batch, heads, n, 8).requires_grad_() for _ in range(2))
    out, lse = program(q, k, v, return_lse=True)
    assert out.shape == q.shape and lse.shape == q.shape[:3]
    gradients = torch.autograd.grad(out.sum() + lse.sum(), (q, k, v))
    assert all(mine.shape == x.shape and mine.isfinite().all() for mine, x in zip(gradients, (q, k, v), strict=True))


@engines
def test_no_queries_at_all(patterns, engine):
    program = pc.compile(patterns("window"), head_dim=8, engine=engine)
    k = torch.randn(1, 2, 9, 8)
    assert program(k[:, :, :0], k, k, query_offset=4).shape == (1, 2, 0, 8)


def test_rows_without_a_key_have_no_gradient(patterns):
    program = pc.compile(patterns("gaps"), head_dim=8, engine="compose")
    q, k, v = (torch.randn(1, 1, 20, 8).requires_grad_() for _ in range(3))
    out, lse = program(q, k, v, return_lse=True)
    assert (out[:, :, :3] == 0).all() and (lse[:, :, :3] == -math.inf).all()
    # A loss of all of lse would be -inf; its gradient is still a number.
    for gradient in torch.autograd.grad(out.sum() + lse.exp().sum(), (q, k, v)):
        assert gradient.isfinite().all()
    assert (torch.autograd.grad(program(q, k, v).sum(), q)[0][:, :, :3] == 0).all()


VIEWS = {
    "tokens behind features": lambda: torch.randn(1, 2, 8, N).mT,
    "one key for all heads": lambda: torch.randn(1, 1, N, 8).expand(1, 2, N, 8),
    "one token for all": lambda: torch.randn(1, 2, 1, 8).expand(1, 2, N, 8),
    "one number for all": lambda: torch.randn(1).expand(1, 2, N, 8),
    "overlapping windows": lambda: torch.randn(2 * N + 8).as_strided((1, 2, N, 8), (1, N, 1, 1)),
    "every third feature": lambda: torch.randn(1, 2, N, 24)[..., ::3],
    "backwards in memory": lambda: torch.randn(1, N, 2, 8).flip(1).transpose(1, 2),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["window", "factorized", "tail"])
@engines
def test_any_view_of_memory(patterns, engine, name, view):
    program = pc.compile(patterns(name), head_dim=8, engine=engine)
    inputs = [VIEWS[view]() for _ in range(3)]
    copies = [x.clone(memory_format=torch.contiguous_format) for x in inputs]
    weight, slope = torch.randn(1, 2, N, 8), torch.randn(1, 2, N)
    for x in (*inputs, *copies):
        x.requires_grad_()
    results = []
    for tensors in (inputs, copies):
        out, lse = program(*tensors, return_lse=True)
        loss = (out * weight).sum() + (lse * slope)[lse.isfinite()].sum()
        results.append([out, lse, *torch.autograd.grad(loss, tensors)])
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["window", "factorized", "tail"])
@engines
def test_offsets_beyond_32_bits(patterns, engine, name):
    """Rows that lie 2**26 elements apart: the last is beyond 2**31. Of the storage, nothing else is touched."""
    rows, step = 33, 2**26
    storage = torch.empty(rows * step, dtype=torch.float16)
    inputs = [storage.as_strided((1, 1, rows, 8), (8, 8, step, 1), offset) for offset in (0, 64, 128)]
    for x in inputs:
        x.copy_(torch.randn(1, 1, rows, 8))
    assert (rows - 1) * step == 2**31
    program = pc.compile(patterns(name), head_dim=8, dtype=torch.float16, engine=engine)
    near = [x.contiguous() for x in inputs]
    results = [run(program, tensors, torch.ones(1), torch.ones(1)) for tensors in (inputs, near)]
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=2e-3)
