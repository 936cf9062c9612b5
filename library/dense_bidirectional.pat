"""Every token attends to all tokens, as in encoders (Vaswani et al. 2017, section 3.2)."""

pattern dense_bidirectional bidirectional {
    step everything

    prove nonempty
    prove symmetric
    prove reach in 1 step
    prove keys <= n
}
