"""A sequence that is divided among processes: what each needs of the others is derived from the pattern."""
