"""From a relation to a confirmed program: the passes in order (``lower.py``), the kernels read back and proved to be
the relation (``confirm.py``), and the program kept on disk (``stored.py``). Of a learned pattern the positional parts
are lowered (``learned.py``).
"""
