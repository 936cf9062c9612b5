"""Attention side by side: what `patternc bench` and the benchmarks of a checkout measure with."""
