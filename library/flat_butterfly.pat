"""Flat block butterfly of Pixelated Butterfly: a block attends to itself and to the blocks whose number differs from
its own in one binary digit (Dao et al. 2022, section 3)."""

# a xor b = 2^t: a and b are 2^t apart, and the digits above t are the same, so that only digit t differs.
rule one_digit(levels: int) = { (a, b) : exists t in 0..levels - 1 : abs(a - b) = 2^t
    and a div 2^(t + 1) = b div 2^(t + 1) }

# With `levels` digits for sequences of up to b * 2^levels tokens.
pattern flat_butterfly(b: int = 32, levels: int = 5) bidirectional {
    require b >= 1 and levels >= 4
    step blocks(self | one_digit(levels), b)

    prove nonempty
    prove symmetric
    prove reach in 3 steps at n = 8 * b  # a step for each digit: log2(n / b)
    prove not reach in 2 steps at n = 8 * b
    prove keys <= 4 * b at n = 8 * b  # itself, and as many as there are digits
}

"""Causal, a step can only take digits away: block 2 never hears of block 1."""
pattern flat_butterfly_causal(b: int = 32, levels: int = 5) causal {
    require b >= 1 and levels >= 4
    step blocks(self | one_digit(levels), b)

    prove nonempty
    prove causal
    prove not reach at n = 3 * b
    prove keys <= 4 * b at n = 8 * b
    prove cache <= 5 * b at n = 8 * b
}

"""The repair: the previous block too."""
pattern flat_butterfly_bridged(b: int = 32, levels: int = 5) causal {
    require b >= 1 and levels >= 4
    step blocks(local(2) | one_digit(levels), b)

    prove nonempty
    prove causal
    prove reach in 3 steps at n = 8 * b
    prove keys <= b * (levels + 1)  # an odd block has the previous one already
    prove cache <= 5 * b at n = 8 * b
}
