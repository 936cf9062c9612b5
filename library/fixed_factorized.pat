"""Sparse Transformer, fixed factorisation (Child et al. 2019, section 4.2)."""

# The paper's summary step leaves the first l - c queries without a key: here a query keeps itself.
pattern fixed_factorized(l: int = 128, c: int = 8) causal {
    require 1 <= c and c <= l
    step within  = block(l)
    step summary = fixed(l, c) | self
    prove nonempty                             # no query without a key, for every n
    prove reach in 2 steps                     # every j <= i reaches i, for every n
    prove reach in 3 steps in any layer order  # a layer more where the summaries come first
    prove causal <= summary @ within           # the same claim in relation algebra
    prove keys <= l + c * ((n - 1) div l)
    prove cache <= l + c * ((n - 1) div l)  # only the summaries of earlier blocks stay
}
