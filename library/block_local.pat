"""Blocks of l tokens, each to itself (Parmar et al. 2018, section 3.3; Qiu et al. 2020)."""

pattern block_local(l: int = 256) causal {
    require l >= 1
    step block(l)

    prove nonempty
    prove causal
    prove not reach  # nothing leaves a block
    prove keys <= l
    prove cache <= l
}

"""The repair: every other layer shifts the blocks by half their length, as in Swin (Liu et al. 2021, section 3.2)."""
pattern block_local_shifted(l: int = 256) causal {
    require l >= 2
    step blocks  = block(l)
    step shifted = { (i, j) : (i + l div 2) div l = (j + l div 2) div l }

    prove nonempty
    prove causal
    prove reach in 3 steps at n = l + l div 2 + 1
    prove not reach in 2 steps at n = l + l div 2 + 1
    prove keys <= l
    prove cache <= l
}
