"""The engine of CPUs: a program as batches of views through torch's attention.

``engine.py`` takes a call, finds a plan for its length (``planning/``: a program becomes a ``plan/``, the fastest by
``pricing/``) and runs it (``running/``).
"""
