"""Adaptive span: each head learns how far back it attends, up to s tokens (Sukhbaatar et al. 2019, section 2.2)."""

# The soft mask of a head with span z is 1 up to distance z, falls to 0 over the next r, and is learned with z: the mask
# leaves out the fall. Whatever z is, from 0 to s, the r latest tokens attend and none more than s + r does.
pattern adaptive_span(s: int = 8192, r: int = 32) causal {
    require r >= 2 and s >= 1
    step local(r) | gated local(r + s)

    prove nonempty
    prove causal
    prove reach in 4 steps at n = 4 * (r - 1) + 1  # at the shortest span
    prove keys <= r + s
    prove cache <= r + s
}
