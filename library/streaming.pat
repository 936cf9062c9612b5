"""Attention sinks: a sliding window, and the first tokens, which softmax needs (Xiao et al. 2023, section 3.2)."""

pattern streaming(sink: int = 4, w: int = 1020) causal {
    require sink >= 0 and w >= 2
    step kept = columns(first(sink)) | local(w)

    prove nonempty
    prove causal
    # Sinks are read by all and, in a causal model, hear of no later token: the window's path is no shorter for them.
    prove kept @ kept = columns(first(sink)) | local(2 * w - 1)
    prove reach in 4 steps at n = sink + 4 * (w - 1) + 1
    prove keys <= sink + w
    prove cache <= sink + w  # what its rolling cache keeps: the rule follows from the mask
}
