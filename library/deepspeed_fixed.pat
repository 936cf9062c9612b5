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
