"""Mixture of block attention: the query's own block, and the k - 1 past blocks whose mean key it likes best
(Lu et al. 2025, section 2.2)."""

# In the paper each query chooses for itself; here the queries of a block choose together. What must attend and what may
# are the same.
pattern moba(k: int = 3, b: int = 512) causal {
    learn hot = topk_blocks(k = k, block = b, scores = pooled, forced = [diagonal])
    step select(hot)

    prove nonempty
    prove causal
    prove block(b) <= select(hot)
    prove reach in 1 step at n = b
    prove keys <= k * b
    prove cache <= n
}
