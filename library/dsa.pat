"""DeepSeek sparse attention: an indexer chooses k tokens for each query (DeepSeek-AI 2025, section 2.1)."""

# Nothing is forced: that a query has a key at all cannot be proved, since only the indexer knows.
pattern dsa(k: int = 2048) causal {
    learn indexer = topk_keys(k = k, tile = 1, forced = [])
    step select(indexer)

    prove causal
    prove keys <= k
    prove cache <= n
}

"""One choice for 64 queries, and their own tokens always in it: fewer bytes to gather, no query without a key."""
pattern dsa_tiles(k: int = 2048) causal {
    learn indexer = topk_keys(k = k, tile = 64, forced = [diagonal])
    step select(indexer)

    prove nonempty
    prove causal
    prove self <= select(indexer)
    prove keys <= k
    prove cache <= n
}
