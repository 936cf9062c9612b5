"""Native sparse attention: summaries of all that is past, the k blocks chosen by their scores, and a window
(Yuan et al. 2025, section 3.3)."""

# The three have a softmax each in the paper, and gates that weigh them; here they share one. The paper's summaries
# overlap (32 tokens, every 16), and its choice forces the previous block too, which the window of these sizes holds.
pattern nsa(k: int = 16, b: int = 64, s: int = 32, w: int = 512) causal {
    require s <= w
    learn hot = topk_blocks(k = k, block = b, forced = [first, diagonal])
    step pooled(s) | select(hot) | local(w)

    prove nonempty
    prove causal
    prove reach in 1 step  # through the summaries
    prove keys <= n div s + k * b + w
    prove cache <= n div s + n  # nothing can be evicted, and the summaries come on top
}
