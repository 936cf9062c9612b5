"""A prefix that sees all of itself, and then text from left to right (Raffel et al. 2020, section 3.2.1)."""

pattern prefix_lm(p: int = 256) bidirectional {
    require p >= 0
    step visible = { (i, j) : j <= i or j < p }

    prove nonempty
    prove causal <= visible
    prove visible = causal | columns(first(p))
    prove not reach  # a token after the prefix is never heard by an earlier one
    prove keys <= n
}
