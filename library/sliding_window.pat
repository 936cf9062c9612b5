"""Every token attends to the w latest tokens, itself included (Beltagy et al. 2020, section 3.1)."""

pattern sliding_window(w: int = 512) causal {
    require w >= 2
    step local(w)

    prove nonempty
    prove causal
    # A layer carries a token w - 1 places on, and no further: (n - 1) / (w - 1) steps, rounded up.
    prove local(w) @ local(w) = local(2 * w - 1)
    prove reach in 5 steps at n = 5 * (w - 1) + 1
    prove not reach in 5 steps at n = 5 * (w - 1) + 2
    prove keys <= w
    prove cache <= w
}
