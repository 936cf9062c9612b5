"""DeepSpeed's FixedSparsityConfig: windows of blocks, and of each window the last blocks for all to attend to
(DeepSpeed, ops/sparse_attention/sparsity_config.py)."""

# A layout of blocks, as are all of DeepSpeed's. In a last window that is cut short its last blocks take the part.
rule fixed_layout(local: int, globals: int) = block(local) | fixed(local, globals) | columns(last(globals))

pattern deepspeed_fixed(block: int = 16, local: int = 4, globals: int = 1) bidirectional {
    require 1 <= globals and globals <= local
    step blocks(fixed_layout(local, globals), block)

    prove nonempty
    prove reach in 2 steps
    prove not reach in 1 step
    prove keys <= block * (local + globals * ((n - 1) div (block * local)))
}

"""Unidirectional: the last blocks of a window that is cut short have nobody after them."""
pattern deepspeed_fixed_causal(block: int = 16, local: int = 4, globals: int = 1) causal {
    require 1 <= globals and globals <= local
    step layout = blocks(block(local) | fixed(local, globals), block)

    prove nonempty
    prove causal
    prove layout = blocks(fixed_layout(local, globals), block)
    prove reach in 2 steps
    prove not reach in 1 step
    prove keys <= block * (local + globals * ((n - 1) div (block * local)))
    prove cache <= block * (local + globals * ((n - 1) div (block * local)))
}

# Head h has blocks of its own for all to attend to (num_different_global_patterns): h times `globals` before the last
# ones. A window that is cut short has them at the same place, or at its end where that is sooner.
rule head_layout(local: int, globals: int, h: int) = block(local)
    | columns({ b : b < n div local * local and local - (h + 1) * globals <= b mod local < local - h * globals })
    | columns({ b : n mod local != 0
        and 0 <= b - min(n div local * local + local - (h + 1) * globals, n - globals) < globals })

"""Any other head (different_layout_per_head)."""
pattern deepspeed_fixed_head(block: int = 16, local: int = 4, globals: int = 1, h: int = 1) bidirectional {
    require 1 <= globals and 1 <= h and (h + 1) * globals <= local
    step blocks(head_layout(local, globals, h), block)

    prove nonempty
    prove reach in 2 steps
    prove not reach in 1 step
    prove keys <= block * (local + globals * ((n - 1) div (block * local)))
}

"""Any other head, unidirectional: what follows its blocks in their window, no later window hears of."""
pattern deepspeed_fixed_causal_head(block: int = 16, local: int = 4, globals: int = 1, h: int = 1) causal {
    require 1 <= globals and 1 <= h and (h + 1) * globals <= local
    step blocks(head_layout(local, globals, h), block)

    prove nonempty
    prove causal
    prove not reach
    prove keys <= block * (local + globals * ((n - 1) div (block * local)))
    prove cache <= block * (local + globals * ((n - 1) div (block * local)))
}
