"""Which keys runs of queries read: every selection, and every table, as lists of keys."""
