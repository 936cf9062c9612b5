"""Quest: while decoding, the k pages of b tokens that may hold the highest scores, by the bounds of each page
(Tang et al. 2024, section 3)."""

# A query reads k * b keys, and the cache holds them all. Nothing is forced: the page being written competes as well.
# Here pages are scored by their mean key, not by the paper's bound: what may attend is the same.
pattern quest(k: int = 128, b: int = 16) causal {
    learn pages = topk_blocks(k = k, block = b, scores = pooled, forced = [])
    step select(pages)

    prove causal
    prove keys <= k * b
    prove cache <= n
}

"""The first two layers are not sparse, and stay dense."""
plan quest_layers {
    layers 0..1  : dense
    layers 2..31 : quest

    prove reach in 2 layers
}
