"""Star-Transformer: the satellite tokens in a ring, each attending to its two neighbours, and one relay token that
attends to all and is attended to by all (Guo et al. 2019, section 3)."""

# The relay is token 0; its update is a step of its own in the paper, and reads what this one does.
rule ring = { (i, j) : i >= 1 and j >= 1 and (abs(i - j) <= 1 or abs(i - j) = n - 2) }

pattern star_transformer bidirectional {
    step ring | global(first(1))

    prove nonempty
    prove symmetric
    prove reach in 2 steps  # by way of the relay
    prove not reach in 1 step
    prove keys <= n
}
