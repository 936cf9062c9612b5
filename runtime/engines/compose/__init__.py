"""The engine of CPUs: a program as batches of views through torch's attention.

``engine.py`` takes a call. For a whole sequence ``routes.py`` finds a plan, in the blocks of ``arranged.py`` and
``strips.py``, by the prices of ``price.py``, whose rates ``probe.py`` measures. ``stages.py`` runs it, in pieces of
some heads each (``pieces.py``), on threads of its own (``crew.py``). Some queries of a sequence run by ``rows.py``.
"""
