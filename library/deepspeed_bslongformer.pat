"""DeepSpeed's BSLongformerSparsityConfig: Longformer on blocks, a window of them and global ones (DeepSpeed,
ops/sparse_attention/sparsity_config.py)."""

pattern deepspeed_bslongformer(block: int = 16, window: int = 3, globals: set = {0}) bidirectional {
    require window >= 1
    step blocks(local(window div 2 + 1) | global(globals), block)

    prove nonempty
    prove symmetric
    prove reach in 2 steps  # by way of any global block
    prove not reach in 1 step
    prove keys <= n
}

"""Unidirectional: the half behind of the window, and global blocks that attend to all before them."""
pattern deepspeed_bslongformer_causal(block: int = 16, window: int = 3, globals: set = {0}) causal {
    require window >= 3
    step blocks(local(window div 2 + 1) | global(globals), block)

    prove nonempty
    prove causal
    prove reach in 4 steps at n = (4 * (window div 2) + 1) * block  # by the window: the first block hears of nothing
    prove not reach in 1 step
    prove keys <= n
    prove cache <= n
}
