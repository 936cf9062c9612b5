"""From a relation to a confirmed program, one pass a file."""
