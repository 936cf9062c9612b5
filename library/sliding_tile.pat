"""Sliding tile attention on a video: every token of a tile attends to the w by w by w tiles around its own, a window of
tiles that is shifted inwards at the borders (Zhang et al. 2025, section 3)."""

# Along an axis as in neighborhood, with r tiles on either side.
rule near_times(r: int, length: int) = { (i, j) : -r <= i.t - j.t <= r
    or i.t < r and j.t <= 2 * r
    or length - r <= i.t and length - 2 * r - 1 <= j.t }

rule near_rows(r: int, height: int) = { (i, j) : -r <= i.y - j.y <= r
    or i.y < r and j.y <= 2 * r
    or height - r <= i.y and height - 2 * r - 1 <= j.y }

rule near_columns(r: int, width: int) = { (i, j) : -r <= i.x - j.x <= r
    or i.x < r and j.x <= 2 * r
    or width - r <= i.x and width - 2 * r - 1 <= j.x }

rule window(r: int, length: int, height: int, width: int) = near_times(r, length)
    & near_rows(r, height)
    & near_columns(r, width)

# Tokens come tile by tile, as the paper reorders them: a token is number e of the b tokens of tile (t, y, x), and h by
# l tiles are a plane. Text, which attends to all and is attended to by all, is not in this mask.
pattern sliding_tile(w: int = 3, h: int = 6, l: int = 10, b: int = 384) bidirectional grid(t, y = h, x = l, e = b) {
    require w mod 2 = 1 and w <= h and w < l
    step window(w div 2, (n - 1) div (h * l * b) + 1, h, l)

    prove nonempty
}

"""The same on tiles, for what takes too long on their tokens: a path of tiles is one of tokens."""
pattern sliding_tile_map(w: int = 3, h: int = 6, l: int = 10) bidirectional grid(t, y = h, x = l) {
    require w mod 2 = 1 and w <= h and h <= l and w < l
    step window(w div 2, (n - 1) div (h * l) + 1, h, l)

    prove nonempty
    # Along a row of tiles: w div 2 places a layer, and the last layer the w at the border.
    prove reach in (l - w - 1) div (w div 2) + 2 steps at n = 5 * h * l
    prove not reach in (l - w - 1) div (w div 2) + 1 steps at n = 5 * h * l
    prove keys <= w * w * w at n = w * h * l
}
