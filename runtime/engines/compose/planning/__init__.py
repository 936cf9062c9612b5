"""From a program to a plan for one length.

``routes.py`` takes the fastest of two: the terms as they were arranged (``arranged.py``), each cut into batches of
blocks (``blocks.py``, in the ways of ``ways.py``) or diagonals; and ``strips.py``, some queries in a row against
whatever they read. A shorter sequence has a part of the plan of a longer one (``trim.py``, ``longer.py``).
"""
