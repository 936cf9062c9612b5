"""Internal global tokens: tokens of the input that attend to all and are attended to by all, and nothing else
(Zaheer et al. 2020, section 2)."""

pattern global_itc(g: set = first(1)) bidirectional {
    step rows(g) | columns(g)

    prove nonempty
    prove symmetric
    prove reach in 2 steps  # by way of any global token
    prove not reach in 1 step
    prove keys <= n
}

"""In a causal model only the columns are left: global tokens in front are sinks, and shorten no path of the window."""
pattern global_causal(g: int = 4, w: int = 32) causal {
    require g >= 1 and w >= 2
    step global(first(g)) | local(w)

    prove nonempty
    prove causal
    prove reach in 3 steps at n = g + 3 * (w - 1) + 1
    prove not reach in 3 steps at n = g + 3 * (w - 1) + 2
    prove keys <= g + w
    prove cache <= g + w
}
