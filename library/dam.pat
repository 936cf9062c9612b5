"""Differentiable attention mask: each head learns which diagonals to keep, the same for every input (Shi et al. 2021,
section 4)."""

# The paper has a gate for each distance, up to its length of 128. Here one gate is for all distances from 2^t up to
# 2^(t + 1): they open together. The diagonal itself stays, so that no query is left without a key.
rule octave(t: int) = { (i, j) : 2^t <= abs(i - j) < 2^(t + 1) }

pattern dam bidirectional {
    step self
        | gated octave(0)
        | gated octave(1)
        | gated octave(2)
        | gated octave(3)
        | gated octave(4)
        | gated octave(5)
        | gated octave(6)

    prove nonempty
    prove keys <= 2^8 - 1
}

"""What is left when training ends: the distances that were kept."""
pattern dam_found(kept: set = {0..2, 8, 64}) bidirectional {
    step { (i, j) : abs(i - j) in kept }

    prove nonempty
    prove symmetric
    prove keys <= n
}
