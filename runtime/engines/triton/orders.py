"""Orders in a kernel: which token has a rank, and how many ranks there are.

Names: ``t`` is a rank, ``c`` a class and (PERIOD, COUNT, START) the constants of an order (compiler/passes/order.py),
where COUNT is a tuple of digits (extent, stride) if the order has any.
"""

# mypy: ignore-errors
# The bodies below are Triton, a language of its own inside Python's syntax: host types do not describe it.

from __future__ import annotations

import math

import triton
import triton.language as tl


@triton.jit
def floormod(x, DIVISOR: tl.constexpr):
    """x mod DIVISOR in 0..DIVISOR-1, also for x < 0, where Triton's % keeps the sign of x."""
    rest = x % DIVISOR
    return tl.where(rest < 0, rest + DIVISOR, rest)


@triton.jit
def floordiv(x, DIVISOR: tl.constexpr):
    """x div DIVISOR rounded towards minus infinity, where Triton's // rounds towards zero."""
    return (x - floormod(x, DIVISOR)) // DIVISOR


@triton.jit
def within(x, LAST: tl.constexpr):
    """0 <= x <= LAST, in one comparison: a negative number is a large one without a sign."""
    return x.to(tl.uint32, bitcast=True) <= LAST


@triton.constexpr_function
def tiled(COUNT):
    """Whether an order has digits. Then the tokens that exist in the last period need not be its first ranks."""
    return not isinstance(COUNT, int)


@triton.constexpr_function
def residues(PERIOD, COUNT, CLASSES):
    """Whether the classes of an order are the residues of all tokens, of which neighbours have different ones."""
    return isinstance(COUNT, int) and COUNT == 1 and CLASSES == PERIOD and CLASSES > 1


@triton.constexpr_function
def held(COUNT):
    """Ranks of a period."""
    return COUNT if isinstance(COUNT, int) else math.prod(extent for extent, _ in COUNT)


@triton.jit
def token(c, t, PERIOD: tl.constexpr, COUNT: tl.constexpr, START: tl.constexpr):
    """The logical position of rank t of class c."""
    if tiled(COUNT):
        return PERIOD * (t // held(COUNT)) + (START + c + offset(t % held(COUNT), COUNT))
    elif COUNT == 1:
        return PERIOD * t + (START + c)
    else:
        return PERIOD * (t // COUNT) + (START + c + t % COUNT)


@triton.constexpr_function
def even(BLOCK, COUNT):
    """Whether token(c, block * BLOCK + t) is token(c, block * BLOCK) + token(0, t) - START for every block and t."""
    for extent, _ in COUNT if not isinstance(COUNT, int) else ((COUNT, 1),):
        if extent > BLOCK:
            return BLOCK > 0 and extent % BLOCK == 0 and not isinstance(COUNT, int)
        if BLOCK % extent:
            return False
        BLOCK //= extent
    return True


@triton.jit
def offset(t, DIGITS: tl.constexpr):
    """Where rank t of a period lies in it: the sum of digit * stride."""
    total = t % DIGITS[0][0] * DIGITS[0][1]
    for k in tl.static_range(1, len(DIGITS)):
        t = t // DIGITS[k - 1][0]
        total += t % DIGITS[k][0] * DIGITS[k][1]
    return total


@triton.jit
def ranks(c, n, PERIOD: tl.constexpr, COUNT: tl.constexpr, START: tl.constexpr):
    """How many tokens of class c lie in 0..n-1; with digits, the ranks of all periods that have one. Existence is asked
    of ranks, and of tokens only below this end: the token of a rank far beyond it may overflow."""
    rest = tl.maximum(n - START - c, 0)
    if tiled(COUNT):
        return tl.cdiv(rest, PERIOD) * held(COUNT)
    else:
        return rest // PERIOD * COUNT + tl.minimum(rest % PERIOD, COUNT)


@triton.jit
def exists(c, t, n, PERIOD: tl.constexpr, COUNT: tl.constexpr, START: tl.constexpr):
    """Whether rank t of class c, which lies below ``ranks``, has a token below n, in an order with digits."""
    return token(c, t, PERIOD, COUNT, START) < n


@triton.jit
def complete(c, n, PERIOD: tl.constexpr, COUNT: tl.constexpr, START: tl.constexpr):
    """The ranks below this one all have a token in 0..n-1, in an order with digits."""
    return tl.maximum(n - START - c, 0) // PERIOD * held(COUNT)
