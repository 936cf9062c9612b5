"""Programs as Triton source, read back, and built ahead of time."""
