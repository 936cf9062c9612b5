"""A window with gaps: w tokens at distances 0, d, 2d, ... (Beltagy et al. 2020, section 3.1)."""

pattern dilated_window(w: int = 256, d: int = 2) causal {
    require w >= 1 and d >= 2
    step strided(d) & local(d * w)

    prove nonempty
    prove causal
    prove not reach  # i - j stays a multiple of d: the residue classes never meet
    prove keys <= w
    prove cache <= d * (w - 1) + 1  # the gaps are other queries' keys
}

"""The repair: a plain window as wide as a gap lets the classes meet, in turn with the dilated one."""
pattern dilated_window_bridged(w: int = 256, d: int = 2) causal {
    require w >= 1 and d >= 2
    step bridge  = local(d)
    step dilated = strided(d) & local(d * w)

    prove nonempty
    prove causal
    prove dilated @ bridge = local(d * w)  # every distance below d * w in two steps, and none above
    prove reach in 12 steps at n = 6 * (d * w - 1) + 1
    prove keys <= w + d - 1
    prove cache <= d * (w - 1) + 1
}
