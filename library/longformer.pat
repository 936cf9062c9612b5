"""A window of w tokens each side, and global tokens that see and are seen by all (Beltagy et al. 2020, section 3.1)."""

# The paper's window of 512 tokens has 256 on each side, and the query itself besides.
pattern longformer(w: int = 256, g: set = first(1)) bidirectional {
    require w >= 1
    step band(w, w) | global(g)

    prove nonempty
    prove symmetric
    prove reach in 2 steps  # by way of any global token
    prove not reach in 1 step
    prove keys <= n  # of a global token; another has 2 * w + 1 and the global ones
}
