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
