"""The mathematics of one block of scores: products, the softmax and its gradients, for kernels of every kind.

All sums are in fp32; scores are in units of log2, so that softmax takes one ``exp2`` per pair.
"""

# mypy: ignore-errors
# The bodies below are Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

import triton
import triton.language as tl

from .memory import LN_2, LOG2_E, addresses, inside, load_rows, numbers


@triton.jit
def product(x, y, PRECISION: tl.constexpr):
    """x @ y, summed in fp32. "fp32" widens the factors first: the interpreter cannot multiply bf16. A row or a column,
    which would fill a sixteenth of what matrix units multiply, takes sums."""
    if x.shape[0] == 1 or y.shape[1] == 1:
        return by_vectors(x, y)
    elif PRECISION == "fp32":
        return tl.dot(x.to(tl.float32), y.to(tl.float32), input_precision="ieee")
    else:
        return tl.dot(x, y, input_precision=PRECISION)


@triton.jit
def add_product(total, x, y, PRECISION: tl.constexpr):
    """total + x @ y, with x rounded to the type of y, but for the sums of a row or a column."""
    if x.shape[0] == 1 or x.shape[1] == 1:
        return total + by_vectors(x, y)
    elif PRECISION == "fp32":
        return tl.dot(x.to(y.dtype).to(tl.float32), y.to(tl.float32), total, input_precision="ieee")
    else:
        return tl.dot(x.to(y.dtype), y, total, input_precision=PRECISION)


@triton.jit
def by_vectors(x, y):
    """x @ y as sums of products in fp32, of which none is in vain. One side is 1. Not as one sum over three axes, which
    Triton's compiler takes for a product of matrices, and rounds as one."""
    x, y = x.to(tl.float32), y.to(tl.float32)
    if x.shape[1] == 1:
        return x * y
    elif y.shape[1] == 1:
        return tl.sum(x * tl.trans(y), 1)[:, None]
    else:
        return tl.sum(tl.trans(x) * y, 0)[None, :]


@triton.jit
def inner(x, y):
    """The product of each row of x with that of y, summed in fp32."""
    return tl.sum(x.to(tl.float32) * y.to(tl.float32), 1)


@triton.jit
def tanh(x):
    """From one exp2, which near 0 would lose what cancels: there the series, to x**9."""
    fade = tl.exp2(tl.abs(x) * (-2.0 * LOG2_E))
    far = tl.where(x < 0, fade - 1.0, 1.0 - fade) / (1.0 + fade)
    square = x * x
    near = x * (
        1.0 + square * (-1.0 / 3.0 + square * (2.0 / 15.0 + square * (-17.0 / 315.0 + square * (62.0 / 2835.0))))
    )
    return tl.where(square < 0.0625, near, far)


@triton.jit
def capped(scores, SOFTCAP: tl.constexpr):
    """SOFTCAP * tanh(score / SOFTCAP), of scores in units of log2; as they are where SOFTCAP is 0."""
    if SOFTCAP == 0.0:
        return scores
    else:
        return tanh(scores / (SOFTCAP * LOG2_E)) * (SOFTCAP * LOG2_E)


@triton.jit
def uncapped(ds, scores, SOFTCAP: tl.constexpr):
    """The gradient of scores before they were capped; ``scores`` are the capped ones, in units of log2."""
    if SOFTCAP == 0.0:
        return ds
    else:
        bent = scores / (SOFTCAP * LOG2_E)
        return ds * (1.0 - bent * bent)


# Forward: an online softmax with state (acc, m, z) = (sum of p*v, running maximum, sum of p) -------------------------


@triton.jit
def fresh(BLOCK: tl.constexpr, BLOCK_D: tl.constexpr):
    """The state before any key."""
    acc = tl.zeros([BLOCK, BLOCK_D], dtype=tl.float32)
    return acc, tl.full([BLOCK], float("-inf"), tl.float32), tl.zeros([BLOCK], dtype=tl.float32)


@triton.jit
def resume(
    out, lse, rows, stride_n, stride_d, live, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK: tl.constexpr,
    SPLIT: tl.constexpr,
):  # fmt: skip
    """The state that an earlier kernel left in memory: (out, lse) is (acc, m) of a softmax whose sum z is 1. With SPLIT
    the state before any key: what was left is joined at the end."""
    if SPLIT:
        return fresh(BLOCK, BLOCK_D)
    else:
        acc = load_rows(out, rows, stride_n, stride_d, live, HEAD_DIM, BLOCK_D).to(tl.float32)
        m = tl.load(lse + rows, mask=live, other=float("-inf")) * LOG2_E
        return acc, m, tl.where(m == float("-inf"), 0.0, 1.0)


@triton.jit
def attend_full(acc, m, z, q, k, v, scale, SOFTCAP: tl.constexpr, PRECISION: tl.constexpr):
    """Take in a block of which every pair is kept. ``scale`` is positive and in units of log2."""
    scores = product(q, tl.trans(k), PRECISION)
    if SOFTCAP == 0.0:
        top = tl.maximum(m, tl.max(scores, 1) * scale)
        p = tl.exp2(scores * scale - top[:, None])
    else:
        scores = capped(scores * scale, SOFTCAP)
        top = tl.maximum(m, tl.max(scores, 1))
        p = tl.exp2(scores - top[:, None])
    fade = tl.exp2(m - top)
    acc = add_product(acc * fade[:, None], p, v, PRECISION)
    return acc, top, z * fade + tl.sum(p, 1)


@triton.jit
def attend_kept(acc, m, z, q, k, v, keep, scale, SOFTCAP: tl.constexpr, PRECISION: tl.constexpr):
    """Take in a block of which the pairs of ``keep`` are kept. A row may keep none, so far or at all. ``scale`` as
    above: it multiplies what is not kept too, which is -inf."""
    scores = product(q, tl.trans(k), PRECISION)
    if SOFTCAP == 0.0:
        scores = tl.where(keep, scores, float("-inf"))
        top = tl.maximum(m, tl.max(scores, 1) * scale)
        shift = tl.where(top == float("-inf"), 0.0, top)  # else -inf - -inf is NaN
        p = tl.exp2(scores * scale - shift[:, None])
    else:
        scores = tl.where(keep, capped(scores * scale, SOFTCAP), float("-inf"))
        top = tl.maximum(m, tl.max(scores, 1))
        shift = tl.where(top == float("-inf"), 0.0, top)
        p = tl.exp2(scores - shift[:, None])
    fade = tl.exp2(m - shift)
    acc = add_product(acc * fade[:, None], p, v, PRECISION)
    return acc, top, z * fade + tl.sum(p, 1)


@triton.jit
def attend_diagonal(acc, m, z, q, k, v, keep, scale, SOFTCAP: tl.constexpr):
    """Take in one key for each query, row by row, where ``keep`` has it: a block of which the diagonal is kept."""
    scores = tl.where(keep, capped(inner(q, k) * scale, SOFTCAP), float("-inf"))
    top = tl.maximum(m, scores)
    shift = tl.where(top == float("-inf"), 0.0, top)  # else -inf - -inf is NaN
    p = tl.exp2(scores - shift)
    fade = tl.exp2(m - shift)
    return acc * fade[:, None] + p[:, None] * v.to(tl.float32), top, z * fade + p


@triton.jit
def finish(acc, m, z, out, lse, rows, stride_n, stride_d, live, HEAD_DIM: tl.constexpr, BLOCK_D: tl.constexpr):
    """Write (out, lse); a row with no key has out 0 and lse -inf."""
    total = tl.where(z == 0.0, 1.0, z)
    at = addresses(out, rows, stride_n, stride_d, BLOCK_D)
    tl.store(at, (acc / total[:, None]).to(out.dtype.scalar.element_ty), mask=inside(live, HEAD_DIM, BLOCK_D))
    tl.store(lse + rows, (m + tl.log2(total)) * LN_2, mask=live)


# Backward: p is rebuilt from the final lse, ds = p * (dO.v - delta) with delta = rowsum(dO*O) - dlse ------------------


@triton.jit
def query_gradient_full(dq, q, k, v, do, lse, delta, scale, SOFTCAP: tl.constexpr, PRECISION: tl.constexpr):
    """dq += ds.k over a block of which every pair is kept; the factor ``scale`` of dq is left to the end."""
    scores = capped(product(q, tl.trans(k), PRECISION) * scale, SOFTCAP)
    p = tl.exp2(scores - lse[:, None])
    ds = uncapped(p * (product(do, tl.trans(v), PRECISION) - delta[:, None]), scores, SOFTCAP)
    return add_product(dq, ds, k, PRECISION)


@triton.jit
def query_gradient_kept(dq, q, k, v, do, lse, delta, keep, scale, SOFTCAP: tl.constexpr, PRECISION: tl.constexpr):
    """dq += ds.k over the pairs of ``keep``; ds itself is selected, so that a NaN outside cannot pass as 0 * NaN."""
    scores = capped(product(q, tl.trans(k), PRECISION) * scale, SOFTCAP)
    p = tl.exp2(scores - lse[:, None])
    ds = uncapped(p * (product(do, tl.trans(v), PRECISION) - delta[:, None]), scores, SOFTCAP)
    return add_product(dq, tl.where(keep, ds, 0.0), k, PRECISION)


@triton.jit
def query_gradient_diagonal(dq, q, k, v, do, lse, delta, keep, scale, SOFTCAP: tl.constexpr):
    """dq += ds k, row by row, where ``keep`` has the pair."""
    scores = capped(inner(q, k) * scale, SOFTCAP)
    p = tl.exp2(scores - lse)
    ds = uncapped(p * (inner(do, v) - delta), scores, SOFTCAP)
    return dq + tl.where(keep, ds, 0.0)[:, None] * k.to(tl.float32)


@triton.jit
def key_gradient_full(dk, dv, q, k, v, do, lse, delta, scale, SOFTCAP: tl.constexpr, PRECISION: tl.constexpr):
    """dk += ds'.q and dv += p'.do, transposed: rows are keys. Rows that do not exist are 0. ``lse`` and ``delta`` say
    where these are."""
    scores = capped(product(k, tl.trans(q), PRECISION) * scale, SOFTCAP)
    p = tl.exp2(scores - numbers(lse)[None, :])
    dv = add_product(dv, p, do, PRECISION)
    dp = product(v, tl.trans(do), PRECISION)
    ds = uncapped(p * (dp - numbers(delta)[None, :]), scores, SOFTCAP)
    return add_product(dk, ds, q, PRECISION), dv


@triton.jit
def key_gradient_kept(dk, dv, q, k, v, do, lse, delta, keep, scale, SOFTCAP: tl.constexpr, PRECISION: tl.constexpr):
    """As ``key_gradient_full`` over the pairs of ``keep``, which is indexed [key, query]. Elsewhere p is 0, and so is
    ds, but for what is not finite: guard.py sees to that."""
    scores = capped(product(k, tl.trans(q), PRECISION) * scale, SOFTCAP)
    p = tl.exp2(scores - numbers(lse)[None, :])
    p = tl.where(keep, p, 0.0)
    dv = add_product(dv, p, do, PRECISION)
    dp = product(v, tl.trans(do), PRECISION)
    ds = uncapped(p * (dp - numbers(delta)[None, :]), scores, SOFTCAP)
    return add_product(dk, ds, q, PRECISION), dv


@triton.jit
def key_gradient_diagonal(dk, dv, q, k, v, do, lse, delta, keep, scale, SOFTCAP: tl.constexpr):
    """dk += ds q and dv += p do, row by row, where ``keep`` has the pair."""
    scores = capped(inner(q, k) * scale, SOFTCAP)
    p = tl.where(keep, tl.exp2(scores - lse), 0.0)
    ds = uncapped(p * (inner(do, v) - delta), scores, SOFTCAP)
    dv += p[:, None] * do.to(tl.float32)
    return dk + tl.where(keep, ds, 0.0)[:, None] * q.to(tl.float32), dv
