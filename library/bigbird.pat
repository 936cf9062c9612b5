"""BigBird: over blocks of b tokens a window, the first and the last block as global tokens, and r blocks drawn at
random (Zaheer et al. 2020, section 2; the blocks of appendix D)."""

# The paper draws among the blocks that are not attended to anyway; this table draws among all.
pattern bigbird(b: int = 64, w: int = 3, g: set = first(1) | last(1), r: int = 3) bidirectional {
    require w >= 1 and w mod 2 = 1
    step blocks(local(w div 2 + 1) | global(g), b) | random(r, b)

    prove nonempty
    prove reach in 2 steps  # by way of a global block
    prove keys <= n
}

"""In a causal model global tokens gather nothing: random blocks alone shorten the path, to O(log n) very likely."""
pattern bigbird_causal(b: int = 16, w: int = 3, g: int = 2, r: int = 3) causal {
    require w >= 3 and w mod 2 = 1 and r >= 3
    step blocks(local(w div 2 + 1) | global(first(g)), b) | random(r, b)

    prove nonempty
    prove causal
    prove reach in 2 steps at n = 8 * b
    prove keys <= b * (w div 2 + 1 + g + r) at n = 8 * b
    prove cache <= n
}
