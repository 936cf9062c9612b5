"""DeepSpeed's LocalSlidingWindowSparsityConfig: of a window of blocks the half that is past (DeepSpeed,
ops/sparse_attention/sparsity_config.py)."""

# The half before the query's own block: unidirectional attention, the default, drops the half ahead.
pattern deepspeed_local(block: int = 16, window: int = 3) causal {
    require window >= 3
    step blocks(local(window div 2 + 1), block)

    prove nonempty
    prove causal
    prove reach in 4 steps at n = (4 * (window div 2) + 1) * block
    prove not reach in 4 steps at n = (4 * (window div 2) + 2) * block
    prove keys <= block * (window div 2 + 1)
    prove cache <= block * (window div 2 + 1)
}

"""Bidirectional, with the half ahead as well."""
pattern deepspeed_local_bidirectional(block: int = 16, window: int = 3) bidirectional {
    require window >= 3
    step blocks(local(window div 2 + 1), block)

    prove nonempty
    prove symmetric
    prove reach in 3 steps at n = (3 * (window div 2) + 1) * block
    prove not reach in 3 steps at n = (3 * (window div 2) + 2) * block
    prove keys <= block * (2 * (window div 2) + 1)
}
