"""Adaptive axis attention: a window of two tokens each side, and the rows and columns of the tokens that a scorer finds
important (Wang et al. 2022, section 3)."""

pattern adaptive_axis(w: int = 2, density: ratio = 10%) bidirectional {
    require w >= 1
    learn important = importance(budget = density, gate = gumbel_sigmoid)
    step band(w, w) | axis(important)

    # Nothing but the window is certain to attend; one important token would make it two steps.
    prove nonempty
    prove reach in 4 steps at n = 4 * w + 1
    prove keys <= n
}

"""For decoders, of an important token its column alone: its score depends on nothing later, and a row gathers little."""
pattern adaptive_axis_causal(w: int = 2, density: ratio = 10%) causal {
    require w >= 1
    learn important = importance(budget = density, gate = gumbel_sigmoid)
    step band(w, 0) | columns(important)

    prove nonempty
    prove causal
    prove reach in 4 steps at n = 4 * w + 1  # columns tell all, but hear of nothing: the window alone gathers
    prove keys <= n
    prove cache <= n
}
