"""Adaptive axis attention: a window of two, and the rows and columns of the tokens that a scorer finds important
(Wang et al. 2022, section 3)."""

pattern adaptive_axis(w: int = 2, density: ratio = 10%) bidirectional {
    learn important = importance(budget = density, gate = gumbel_sigmoid)
    step local(w) | axis(important)

    # Nothing but the window is certain to attend; one important token would make it two steps.
    prove nonempty
    prove reach in 4 steps at n = 4 * (w - 1) + 1
    prove keys <= n
}
