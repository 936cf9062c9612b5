"""Every token attends to itself and to all earlier tokens (Vaswani et al. 2017, section 3.2)."""

pattern dense causal {
    step everything

    prove nonempty
    prove causal
    prove reach in 1 step
    prove keys <= n
    prove cache <= n
}
