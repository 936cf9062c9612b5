"""From a program to a plan for one length, in two ways: its terms as they were arranged (``arranged.py``), each cut
into batches of blocks (``blocks.py``, in the ways of ``ways.py``) or diagonals; and ``strips.py``, some queries in a
row against whatever they read.
"""
