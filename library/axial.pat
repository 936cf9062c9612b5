"""Rows and columns of an image in raster order, in turn (Ho et al. 2019, section 3)."""

pattern axial(width: int = 64) causal {
    require width >= 2
    step row    = block(width)
    step column = strided(width)

    prove nonempty
    prove causal
    prove not reach  # within j <= i no step goes to the left, so nothing left of j hears of it
    prove keys <= width + (n - 1) div width
    prove cache <= n - width + 1 at n = 8 * width
}

"""The repair: the row runs on over the line break, and every pixel hears of all before it."""
pattern axial_wrapped(width: int = 64) causal {
    require width >= 2
    step row    = local(width)
    step column = strided(width)

    prove nonempty
    prove causal
    prove reach in 2 steps
    prove keys <= width + (n - 1) div width
    prove cache <= n - width + 1 at n = 8 * width
}
