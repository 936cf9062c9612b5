"""Two-dimensional local attention of Image Transformer: the image is cut into query blocks, generated one after
another, and each pixel attends to the memory block around its own (Parmar et al. 2018, section 3.3)."""

# Tokens come as they are generated: query blocks in raster order, and in each block its pixels.
# Blocks are p by q, m of them in a row: 6 for 32 pixels of 3 channels. Memory is h rows above the query block, and w
# columns to either side of both. The sizes are those of the authors' code.
rule memory(p: int, q: int, h: int, w: int) = { (i, j) : i.a * p - h <= j.a * p + j.y
    and i.b * q - w <= j.b * q + j.x < (i.b + 1) * q + w }

pattern image_local(p: int = 8, q: int = 16, h: int = 8, w: int = q, m: int = 6) causal grid(a, b = m, y = p, x = q) {
    require m >= 3 and h >= 0 and 0 <= w and w <= q
    step memory(p, q, h, w)

    prove nonempty
    prove causal
    prove keys <= p * (w + q) + h * (w + q + w)
    prove cache <= h * q * m + max(h, p) * w + p * q at n = 2 * p * q * m
}

"""The same on blocks so small that a length at which pixels are lost can be tried out."""
pattern image_small(p: int = 2, q: int = 4, h: int = 2, w: int = q, m: int = 3) causal grid(a, b = m, y = p, x = q) {
    require m >= 3 and h >= 0 and 0 <= w and w <= q
    step memory(p, q, h, w)

    prove nonempty
    prove causal
    prove not reach at n = p * q * m + 1  # the last block of a row: the first of the next does not reach so far back
    prove keys <= p * (w + q) + h * (w + q + w) at n = 2 * p * q * m
}
