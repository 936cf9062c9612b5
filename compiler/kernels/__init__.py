"""Programs as Triton source (``emit/``), read back (``read/``), imported (``kernel_file.py``) and built ahead of time
(``aot.py``); and how kernels are launched: with which blocks (``launch.py``), over which tiles (``work.py``).
"""
