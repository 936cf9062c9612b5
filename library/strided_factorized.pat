"""Sparse Transformer, strided factorisation (Child et al. 2019, section 4.2)."""

pattern strided_factorized(l: int = 128) causal {
    require l >= 1
    step near = local(l)                  # the latest l tokens, as in the authors' code; the formula says l + 1
    step far  = strided(l)                # every l-th token before

    prove nonempty
    prove causal
    prove reach in 2 steps
    prove causal <= far @ near            # the order of the two does not matter
    prove causal <= near @ far
}
