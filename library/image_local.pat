"""Two-dimensional local attention of Image Transformer: the image is cut into query blocks, generated one after
another, and each pixel attends to the memory block around its own (Parmar et al. 2018, section 3.3)."""

# Tokens come as they are generated: query blocks in raster order, and in each block its pixels.
# Blocks are p by q, m of them in a row: 6 for 32 pixels of 3 channels. Memory is h rows above the query block, and w
# columns to either side of both. The sizes are those of the authors' code.
pattern image_local(p: int = 8, q: int = 16, h: int = 8, w: int = q, m: int = 6) causal grid(a, b = m, y = p, x = q) {
    require m >= 3 and h >= 0 and 0 <= w and w <= q
    step { (i, j) : i.a * p - h <= j.a * p + j.y and i.b * q - w <= j.b * q + j.x < (i.b + 1) * q + w }

    prove nonempty
    prove causal
    prove keys <= p * (w + q) + h * (w + q + w)
    prove cache <= h * q * m + max(h, p) * w + p * q at n = 2 * p * q * m
}
