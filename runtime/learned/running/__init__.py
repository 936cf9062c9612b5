"""Lists of keys computed: gathered piece by piece, or as one dense attention under a mask."""
