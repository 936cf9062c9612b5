"""Half of the window on each side, and the query itself besides, for encoders (Beltagy et al. 2020, section 3.1)."""

pattern sliding_window_bidirectional(w: int = 512) bidirectional {
    require w >= 2 and w mod 2 = 0
    step band(w div 2, w div 2)

    prove nonempty
    prove symmetric
    prove reach in 4 steps at n = 4 * (w div 2) + 1
    prove not reach in 4 steps at n = 4 * (w div 2) + 2
    prove keys <= w + 1
}
