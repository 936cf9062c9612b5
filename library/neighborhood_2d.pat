"""Neighbourhood attention on an image: a window of k by k pixels around each, shifted inwards along either axis at the
borders (Hassani et al. 2023, section 3.1)."""

# Along an axis as in neighborhood, with r pixels on either side.
rule near_rows(r: int, height: int) = { (i, j) : i.y < r and j.y <= 2 * r
    or r <= i.y < height - r and -r <= i.y - j.y <= r
    or r <= i.y and height - r <= i.y and height - 2 * r - 1 <= j.y }

rule near_columns(r: int, width: int) = { (i, j) : i.x < r and j.x <= 2 * r
    or r <= i.x < width - r and -r <= i.x - j.x <= r
    or width - r <= i.x and width - 2 * r - 1 <= j.x }

pattern neighborhood_2d(k: int = 7, width: int = 56) bidirectional grid(y, x = width) {
    require k mod 2 = 1 and k >= 3 and width > k
    step near_rows(k div 2, (n - 1) div width + 1) & near_columns(k div 2, width)

    prove nonempty
    # From border to border: k div 2 places a layer, and the last layer the k at the border.
    prove reach in (width - k - 1) div (k div 2) + 2 steps at n = 2 * width
    prove not reach in (width - k - 1) div (k div 2) + 1 steps at n = 2 * width
    prove keys <= k * k at n = k * width
}
