"""Learned granularity: each pair of blocks of two sequences is skipped, pooled coarsely or less coarsely, or kept whole
(levels of detail under one softmax as in Zeng et al. 2022, section 4)."""

pattern granular(block: int = 32) cross {
    learn detail = granularity(block = block, levels = [skip, coarse, medium, fine])
    step refine(detail)

    prove keys <= nk  # nothing must attend: every level may be skip
}

"""Without the level that skips, no query is left without a key, and all pairs of blocks meet in one step."""
pattern granular_everywhere(block: int = 32) cross {
    learn detail = granularity(block = block, levels = [coarse, medium, fine])
    step refine(detail)

    prove nonempty
    prove everything <= refine(detail)
    prove keys <= nk
}
