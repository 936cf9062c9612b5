"""PowerAttention: a block attends to the w latest blocks, to those 2, 4, 8, ... before it and to the first
(Chen et al. 2025, section 3)."""

# Distances go up to 2^(levels - 1) blocks: for sequences of up to b * 2^levels tokens.
rule power(w: int, levels: int) = { (a, b) : a - b < w or b = 0 or exists t in 0..levels - 1 : a - b = 2^t }

pattern powerattention(b: int = 256, w: int = 5, levels: int = 8) causal {
    require w >= 5 and levels >= 4
    step blocks(power(w, levels), b)

    prove nonempty
    prove causal
    # A distance in blocks is a sum of as many powers of two as it has binary ones (theorem B.1): log2(n / b) at most.
    prove reach in 2 steps at n = 12 * b
    prove keys <= b * (w + levels - 2)
    prove cache <= b * (2^(levels - 1) + 2)
}
