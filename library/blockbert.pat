"""BlockBERT: the blocks are permuted, a permutation for each head, and a block attends to the one that comes in its
place: by the identity in most heads, and by shifts (Qiu et al. 2020, section 3)."""

# In a relation over blocks n is their number. It is not known, so the shift around it is written as two cases.
rule shifted(s: int) = { (a, b) : b = a + s or b = a + s - n }

pattern blockbert(b: int = 256) bidirectional {
    require b >= 1
    step identity = blocks(shifted(0), b)
    step shift    = blocks(shifted(1), b)

    prove nonempty
    prove identity = block(b)
    prove reach in 2 steps at n = 2 * b  # two blocks, as in the paper
    prove not reach in 1 step at n = b + 1
    prove keys <= 2 * b
}

"""As heads of one layer: what a token hears of, it hears of through any of them."""
plan blockbert_heads {
    layers 0..11 : blockbert(b = 64) heads

    prove reach in 3 layers at n = 256  # four blocks
    prove not reach in 2 layers at n = 256
}
