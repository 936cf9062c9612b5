"""The A-shape head of MInference: the first tokens and the latest (Jiang et al. 2024, section 3)."""

from "library:lm_infinite" import lambda_shaped

# The sizes are those of the authors' search for the pattern of each head.
pattern a_shape(g: int = 100, w: int = 800) causal {
    require g >= 0 and w >= 2
    step lambda_shaped(g, w)

    prove nonempty
    prove causal
    prove reach in 4 steps at n = g + 4 * (w - 1) + 1
    prove keys <= g + w
    prove cache <= g + w
}
