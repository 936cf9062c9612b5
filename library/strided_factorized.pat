"""Sparse Transformer, strided factorisation (Child et al. 2019, section 4.2)."""

pattern strided_factorized(l: int = 128) causal {
    require l >= 1
    step near = local(l)    # the latest l tokens, as in the authors' code; the formula says l + 1
    step far  = strided(l)  # every l-th token before

    prove nonempty
    prove causal
    prove reach in 2 steps
    prove causal <= far @ near  # the order of the two does not matter
    prove causal <= near @ far
    prove keys <= l + (n - 1) div l
    prove cache <= n - l + 1 at n = 4 * l  # a column is read again until the end: next to nothing can be evicted
}
