"""Patterns with seeded tables: what a seed draws as lists, and the engine around that of programs."""
