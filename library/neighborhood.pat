"""Neighbourhood attention: the k nearest tokens; near a border, where a window would stick out, it is shifted inwards,
so that every token has k (Hassani et al. 2023, section 3.1)."""

# k is odd. The first k div 2 queries share the first k keys, the last ones the last, and the others have theirs around.
rule nearest(k: int) = { (i, j) : i < k div 2 and j < k
    or k div 2 <= i < n - k div 2 and -(k div 2) <= i - j <= k div 2
    or k div 2 <= i and n - k div 2 <= i and n - k <= j }

pattern neighborhood(k: int = 7) bidirectional {
    require k mod 2 = 1 and k >= 3
    step nearest(k)

    prove nonempty
    prove local(k div 2 + 1) <= nearest(k)
    # k div 2 places a layer, and in the last layer the k at the border.
    prove reach in 5 steps at n = k + 4 * (k div 2)
    prove not reach in 4 steps at n = k + 4 * (k div 2)
    prove keys <= k
}

"""Causal, the window lies behind the query, and is cut short at the front."""
pattern neighborhood_causal(k: int = 7) causal {
    require k >= 2
    step local(k)

    prove nonempty
    prove causal
    prove reach in 4 steps at n = 4 * (k - 1) + 1
    prove not reach in 4 steps at n = 4 * (k - 1) + 2
    prove keys <= k
    prove cache <= k
}

# The middle query of each group of s, and the window around it.
rule shared(k: int, s: int) = { (i, j) : abs(j - max(k div 2, min(i div s * s + s div 2, n - 1 - k div 2))) <= k div 2 }

"""Strided, the queries of a group of s share the window of the middle one (Hassani et al. 2025, section 3)."""
pattern neighborhood_strided(k: int = 7, s: int = 2) bidirectional {
    require k mod 2 = 1 and k >= 3 and 1 <= s and s <= k
    step shared(k, s)

    prove nonempty
    prove shared(k, 1) = nearest(k)
    prove reach in 4 steps at n = 2 * k
    prove keys <= k
}
