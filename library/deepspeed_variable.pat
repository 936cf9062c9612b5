"""DeepSpeed's VariableSparsityConfig: windows of blocks of any sizes, and blocks for all to attend to (DeepSpeed,
ops/sparse_attention/sparsity_config.py)."""

# `starts` are the first blocks of the windows: window sizes 2, 4, 8, 8, ... are {2} | { a : a mod 8 = 6 }.
# There are no random blocks unless asked for: `| random(r, block)` adds them.
rule windows(starts: set) = { (a, b) : not (exists c : c in starts and (a < c and c <= b or b < c and c <= a)) }

pattern deepspeed_variable(block: int = 16, starts: set = { a : a mod 4 = 0 }, globals: set = {0}) bidirectional {
    step blocks(windows(starts) | columns(globals), block)

    prove nonempty
    prove not reach at n = 4 * block + 1  # the global blocks tell all and hear of nothing: columns alone
    prove keys <= n
}

"""With horizontal_global_attention, the global blocks attend to all in turn, and all is heard of by way of them."""
pattern deepspeed_variable_rows(block: int = 16, starts: set = { a : a mod 4 = 0 }, globals: set = {0}) bidirectional {
    step blocks(windows(starts) | global(globals), block)

    prove nonempty
    prove symmetric
    prove reach in 2 steps
    prove not reach in 1 step
    prove keys <= n
}

"""Unidirectional: what leaves a window is what its global blocks tell, and other tokens stay where they are."""
pattern deepspeed_variable_causal(block: int = 16, starts: set = { a : a mod 4 = 0 }, globals: set = {0}) causal {
    step blocks(windows(starts) | columns(globals), block)

    prove nonempty
    prove causal
    prove not reach
    prove keys <= n
    prove cache <= n
}
