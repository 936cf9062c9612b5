"""Sets of pairs: what a pattern means, for every length at once."""
