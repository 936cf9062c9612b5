"""A sliding window, and the last c tokens of every l as summaries of it, for windows that must reach everything
(the columns of Child et al. 2019, section 4.2, beside the window of Beltagy et al. 2020)."""

pattern summary_columns(w: int = 32, l: int = 32, c: int = 1) causal {
    require 1 <= c and c <= l and l - c < w  # the next summary lies within the window
    step local(w) | fixed(l, c)

    prove nonempty
    prove causal
    prove reach in 2 steps  # to the next summary, and from it to all after
    prove not reach in 1 step
    prove keys <= w + c * ((n - 1) div l)
    prove cache <= w + c * ((n - 1) div l)
}
