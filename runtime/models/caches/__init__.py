"""Caches of keys and values that know the pattern of their layer: what it can still read (``evicting.py``), and what
its selectors read beside them (``remembering.py``)."""
