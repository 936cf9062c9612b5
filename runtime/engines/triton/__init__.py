"""The engine of GPUs: it launches the kernels that the compiler wrote for a program.

``engine.py`` takes a call, ``chains.py`` says which kernels follow each other, ``kernel_run.py`` and ``launching.py``
launch them, with the options that ``tune.py`` chose. What kernels import is in ``tiles.py`` and the files behind it.
"""
