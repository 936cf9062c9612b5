"""From a relation to a program, one pass a file."""
