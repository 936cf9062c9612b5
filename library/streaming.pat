"""Attention sinks: a sliding window, and the first tokens, which softmax needs (Xiao et al. 2023, section 3.2)."""

pattern streaming(sink: int = 4, w: int = 1024) causal {
    require sink >= 0 and w >= 1
    step columns(first(sink)) | local(w)

    prove nonempty
    prove causal
    # Sinks are read by all and, in a causal model, hear of no later token: they shorten no path.
    prove reach in 1 step at n = w            # up to w tokens it is dense
}
