"""Global-local attention: g tokens are added in front of the long input; they attend to all and are attended to by all,
and a long token to those at most r away (Ainslie et al. 2020, section 3.2)."""

# The four pieces of the paper, in one sequence: the global tokens are its first g.
rule global_to_global(g: int)     = rows(first(g)) & columns(first(g))
rule global_to_long(g: int)       = rows(first(g)) - columns(first(g))
rule long_to_global(g: int)       = columns(first(g)) - rows(first(g))
rule long_to_long(g: int, r: int) = band(r, r) - axis(first(g))

pattern global_etc(g: int = 230, r: int = 84) bidirectional {
    require g >= 1 and r >= 0
    step global_to_global(g) | global_to_long(g) | long_to_global(g) | long_to_long(g, r)

    prove nonempty
    prove symmetric
    prove reach in 2 steps
    prove keys <= n  # of a global token; a long one has g + 2 * r + 1
}
