"""The block-sparse head of MInference: for each query block the k key blocks whose mean key its mean query likes best
(Jiang et al. 2024, section 3)."""

# No block is forced: that a query has a key at all cannot be proved, since only the choice knows.
pattern block_sparse(k: int = 100, b: int = 64) causal {
    learn hot = topk_blocks(k = k, block = b, scores = pooled, forced = [])
    step select(hot)

    prove causal
    prove keys <= k * b
    prove cache <= n
}
