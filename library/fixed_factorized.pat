"""Sparse Transformer, fixed factorisation (Child et al. 2019, section 4.2)."""
pattern fixed_factorized(l: int = 128, c: int = 8) causal {
    require 1 <= c and c <= l
    step within  = block(l)
    step summary = fixed(l, c) | self
    prove nonempty                    # no query without a key, for every n
    prove reach in 2 steps            # every j <= i reaches i, for every n
    prove causal <= summary @ within  # the same claim in relation algebra
    prove keys <= l + c * ((n - 1) div l)
    prove cache <= l + c * ((n - 1) div l)  # only the summaries of earlier blocks stay
}
