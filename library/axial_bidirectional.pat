"""Rows and columns of an image, in turn, for encoders (Ho et al. 2019, section 3)."""

pattern axial_bidirectional(width: int = 64) bidirectional grid(y, x = width) {
    require width >= 2
    step row    = { (i, j) : i.y = j.y }
    step column = { (i, j) : i.x = j.x }

    prove nonempty
    prove symmetric
    prove reach in 2 steps at n = 8 * width
    prove reach in 3 steps  # a last row cut short lacks some columns: a way around through the rows
    prove keys <= width + (n - 1) div width
}
