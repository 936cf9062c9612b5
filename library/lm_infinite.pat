"""LM-Infinite: the mask is a Lambda, the first tokens and as many of the latest as the model was trained on
(Han et al. 2024, section 4)."""

# Distances are capped at the same number, which is a matter of the scores and not of the mask.
rule lambda_shaped(g: int, w: int) = columns(first(g)) | local(w)

pattern lm_infinite(g: int = 10, w: int = 4096) causal {
    require g >= 0 and w >= 2
    step lambda_shaped(g, w)

    prove nonempty
    prove causal
    prove reach in 4 steps at n = g + 4 * (w - 1) + 1
    prove keys <= g + w
    prove cache <= g + w
}
