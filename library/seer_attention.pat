"""SeerAttention: a gate, distilled from the pooled maps of dense attention, chooses k key blocks for each query block
(Gao et al. 2024, section 3)."""

# By a budget, as here, or by a threshold. No block is forced: that a query has a key at all cannot be proved, since
# only the gate knows.
pattern seer_attention(k: int = 64, b: int = 64) causal {
    learn gate = topk_blocks(k = k, block = b, forced = [])
    step select(gate)

    prove causal
    prove keys <= k * b
    prove cache <= n
}

"""The repair: the query's own block is always chosen, and counts."""
pattern seer_attention_diagonal(k: int = 64, b: int = 64) causal {
    learn gate = topk_blocks(k = k, block = b, forced = [diagonal])
    step select(gate)

    prove nonempty
    prove causal
    prove block(b) <= select(gate)
    prove keys <= k * b
    prove cache <= n
}
