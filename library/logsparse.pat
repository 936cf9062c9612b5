"""LogSparse: every token attends to itself and to those 1, 2, 4, 8, ... before it (Li et al. 2019, section 4.2)."""

# Distances go up to 2^(levels - 1): for sequences of up to 2^levels tokens.
pattern logsparse(levels: int = 12) causal {
    require levels >= 8
    step { (i, j) : i = j or exists k in 0..levels - 1 : i - j = 2^k }

    prove nonempty
    prove causal
    # A distance below 2^m is a sum of at most m powers of two: log2(n) steps.
    prove reach in 6 steps at n = 2^6
    prove not reach in 5 steps at n = 2^6
    prove keys <= levels + 1
    prove cache <= n div 2 + 1 at n = 2^9
}

"""The authors' variant for near context: the w latest tokens too, and powers of two counted from the window's end."""
pattern logsparse_local(w: int = 8, levels: int = 12) causal {
    require w >= 8 and levels >= 8
    step local(w) | { (i, j) : exists k in 0..levels - 1 : i - j - (w - 1) = 2^k }

    prove nonempty
    prove causal
    prove reach in 4 steps at n = 2^7
    prove keys <= w + levels
    prove cache <= n div 2 + w at n = 2^8
}

"""And the variant that starts anew every l tokens: the same keys again, counted from l, 2 * l, ... before the query."""
pattern logsparse_restart(l: int = 64, w: int = 6, levels: int = 6) causal {
    require w >= 1 and levels >= 1
    step { (i, j) : (i - j) mod l < w or exists k in 0..levels - 1 : (i - j) mod l = w - 1 + 2^k }

    prove nonempty
    prove causal
    prove reach in 3 steps at n = 3 * l
    prove not reach in 2 steps at n = 3 * l
    prove keys <= (w + levels) * ((n - 1) div l + 1) at n = 3 * l
    prove cache <= n - l + w + 2^(levels - 1) at n = 3 * l
}
