"""LongNet: dilated attention within segments, the longer the sparser, all of them in one softmax
(Ding et al. 2023, section 2.2)."""

# Of each segment of w tokens every r-th attends, to every r-th. Head h starts at token h mod r.
rule dilated(w: int, r: int, h: int) = block(w) & { (i, j) : i mod w mod r = h mod r and j mod w mod r = h mod r }

# The segments and ratios of the paper's experiments, for w = 2048.
rule mixture(w: int, h: int) = dilated(w, 1, h)
    | dilated(2 * w, 2, h)
    | dilated(4 * w, 4, h)
    | dilated(8 * w, 6, h)
    | dilated(16 * w, 12, h)

pattern longnet(w: int = 2048, h: int = 0) causal {
    require w >= 16 and w mod 2 = 0 and h mod 2 = 0
    step dilations = mixture(w, h)

    prove nonempty
    prove causal
    # Causal, it never reaches: the last token of a segment of w is read in that segment alone, where none comes later.
    prove disjoint(dilations - block(w), columns({ j : j mod w = w - 1 }))
}

"""The repair, small enough to be tried out: with a window of two, what ends a segment is passed on to the next."""
pattern longnet_bridged(w: int = 64, h: int = 0) causal {
    require w >= 16
    step mixture(w, h) | local(2)

    prove nonempty
    prove causal
    prove reach in 3 steps at n = 2 * w
    prove not reach in 2 steps at n = 2 * w
    prove keys <= w + w div 2 at n = 2 * w
}

"""The same with segments so small that a length at which tokens are lost can be tried out."""
pattern longnet_small(w: int = 64, h: int = 0) causal {
    require w >= 16 and w mod 2 = 0 and h mod 2 = 0
    step mixture(w, h)

    prove nonempty
    prove causal
    prove not reach at n = w + 1
    prove keys <= w + w div 2 - 1 at n = 2 * w
    prove cache <= w + w div 2 - 1 at n = 2 * w
}

"""For encoders it reaches: through the first tokens of the segments, which segments of every length keep."""
pattern longnet_bidirectional(w: int = 64, h: int = 0) bidirectional {
    require w >= 16
    step mixture(w, h)

    prove nonempty
    prove symmetric
    prove reach in 3 steps at n = 4 * w
    prove not reach in 2 steps at n = 4 * w
}
