"""SparseK: a window, and the k earlier tokens of the highest scores, which are the tokens' own and not the query's
(Lou et al. 2024, section 3)."""

# The k of every prefix are chosen anew; the mask takes them as one set.
pattern sparsek(w: int = 512, k: int = 512) causal {
    learn kept = topk(k = k, relax = sparsek)
    step local(w) | columns(kept)

    prove nonempty
    prove causal
    prove reach in 5 steps at n = 5 * (w - 1) + 1  # by the window alone
    prove keys <= w + k
    prove cache <= n
}
