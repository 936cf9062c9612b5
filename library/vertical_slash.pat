"""The vertical-slash head of MInference: some columns, and some diagonals, found online for each input; here they are
given (Jiang et al. 2024, section 3)."""

rule verticals(s: set) = columns(s)
rule slashes(s: set)   = { (i, j) : i - j in s }  # a set of distances

pattern vertical_slash(v: set = {0..29}, s: set = {0..63, 128, 256, 512}) causal {
    step verticals(v) | slashes(s)

    prove nonempty
    prove causal
    prove self <= slashes(s)
    prove keys <= n
    prove cache <= n
}
