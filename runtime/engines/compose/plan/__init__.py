"""A plan, as data: which blocks of which tokens (``tiles.py``, ``block.py``, ``place.py``), under which masks, and
which diagonals (``diagonal.py``); in stages (``stage.py``), which are a route (``route.py``).
"""
