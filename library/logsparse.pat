"""LogSparse: every token attends to itself and to those 1, 2, 4, 8, ... before it (Li et al. 2019, section 4.2)."""

pattern logsparse(levels: int = 12) causal {
    require levels >= 8
    step { (i, j) : i = j or exists k in 0..levels - 1 : i - j = 2^k }

    prove nonempty
    prove causal
    # A distance below 2^m is a sum of at most m powers of two: log2(n) steps.
    prove reach in 8 steps at n = 2^8
    prove not reach in 7 steps at n = 2^8
}
