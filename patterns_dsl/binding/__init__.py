"""Parameters get values, and everything is brought to core form."""
