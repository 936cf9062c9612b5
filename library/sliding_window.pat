"""Every token attends to the w latest tokens, itself included (Beltagy et al. 2020, section 3.1)."""

pattern sliding_window(w: int = 512) causal {
    require w >= 1
    step local(w)

    prove nonempty
    prove causal
    # A layer carries a token w - 1 places on, so depth and length grow together.
    prove reach in 2 steps at n = 2 * (w - 1) + 1
}
