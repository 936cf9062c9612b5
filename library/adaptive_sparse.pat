"""Adaptive sparse attention at several scales: a window, blocks chosen for each query block, and summaries of all that
is past (the choice of Gao et al. 2024, section 3, with the summaries of Yuan et al. 2025, section 3.3)."""

pattern adaptive_sparse(w: int = 256, k: int = 64, s: int = 16) causal {
    learn hot = topk_blocks(k = k, block = 64, relax = soft_topk)
    step local(w) | select(hot) | pooled(s)

    prove nonempty
    prove causal
    prove reach in 1 step  # what is in no summary yet is in the block of the query, always chosen
    prove keys <= w + 64 * k + n div s
    prove cache <= n + n div s
}

"""Summaries are coarser in higher layers, as those of a hierarchy of scales."""
plan adaptive_sparse_scales {
    layers 0..9   : adaptive_sparse(s = 8)
    layers 10..19 : adaptive_sparse(s = 32)
    layers 20..29 : adaptive_sparse(s = 128)

    prove reach in 1 layer
}
