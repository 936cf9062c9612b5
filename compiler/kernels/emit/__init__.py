"""A program as the text of its kernels: ``program.py`` writes a file, ``kernel.py`` a kernel, of which the loops are
those over keys, queries, diagonals and lists of blocks.
"""
