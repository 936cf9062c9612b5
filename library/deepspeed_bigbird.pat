"""DeepSpeed's BigBirdSparsityConfig: a window of blocks, the first blocks as global tokens, and blocks drawn at random
(DeepSpeed, ops/sparse_attention/sparsity_config.py)."""

pattern deepspeed_bigbird(block: int = 16, r: int = 1, window: int = 3, globals: int = 1) bidirectional {
    require window >= 1 and globals >= 1
    step blocks(local(window div 2 + 1) | global(first(globals)), block) | random(r, block)

    prove nonempty
    prove reach in 2 steps  # by way of the first block
    prove not reach in 1 step at n = (globals + window + r + 1) * block
    prove keys <= n
}

"""Unidirectional: of the global blocks the columns are left, the window is halved, and what is drawn lies behind."""
pattern deepspeed_bigbird_causal(block: int = 16, r: int = 1, window: int = 3, globals: int = 1) causal {
    require window >= 3 and globals >= 1
    step blocks(local(window div 2 + 1) | columns(first(globals)), block) | random(r, block)

    prove nonempty
    prove causal
    prove reach in 4 steps at n = (4 * (window div 2) + 1) * block  # by the window; what is drawn may shorten it
    prove keys <= block * (window div 2 + 1 + globals + r) at n = 8 * block
    prove cache <= n
}
