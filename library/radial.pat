"""Radial attention on a video: the farther two frames are apart, the narrower the window between them, halving as the
distance doubles; and at last only every second frame has one, every fourth, ... (Li et al. 2025, section 4.2)."""

# As in the authors' code for HunyuanVideo, with decay 1. It then rounds to blocks of b tokens, and has text attend to
# all and be attended to by all: neither is in this mask. It is for videos of up to 2^groups frames.

"""Frames fewer than `frames` apart, every s-th of them, and in these the tokens at most w apart."""
rule near(frames: int, s: int, w: int) = { (i, j) : -frames < i.f - j.f < frames
    and (i.f - j.f) mod s = 0
    and -w <= i.x - j.x <= w }

"""The first frame is a sink, neighbouring frames see each other whole, and group g are the frames fewer than 2^g apart:
what it allows, the groups before it allow too, for b is a power of two. A frame has fewer than 2^bits tokens."""
rule radial(tokens: int, bits: int, b: int, groups: int) = { (i, j) : j.f = 0 }
    | near(2, 1, tokens)
    | { (i, j) : exists g in 2..groups : (i, j) in near(2^g, max(1, b div 2^(bits - g)), max(b, 2^(bits - g))) }

pattern radial(tokens: int = 3600, bits: int = 12, b: int = 128, groups: int = 7) bidirectional grid(f, x = tokens) {
    require 2^(bits - 1) <= tokens and tokens < 2^bits
    require 3 <= groups and groups <= bits and 8 * b <= 2^bits and (exists t in 0..bits : b = 2^t)
    step radial(tokens, bits, b, groups)

    prove nonempty
}

"""The same with frames so small that a length at which it matters can be tried out."""
pattern radial_small(tokens: int = 20, bits: int = 5, b: int = 4, groups: int = 5) bidirectional grid(f, x = tokens) {
    require 2^(bits - 1) <= tokens and tokens < 2^bits
    require 3 <= groups and groups <= bits and 8 * b <= 2^bits and (exists t in 0..bits : b = 2^t)
    step radial(tokens, bits, b, groups)

    prove nonempty
    prove reach in 2 steps at n = 8 * tokens
    prove not reach in 1 step at n = 8 * tokens
}
