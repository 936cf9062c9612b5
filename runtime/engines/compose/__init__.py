"""The engine of CPUs: a program as batches of views through torch's attention.

``engine.py`` takes a call and finds a route for its length (``routes.py``): of a program ``planning/`` makes a
``plan/``, or ``lengths/`` a part of the plan for another length, the fastest by ``pricing/``. Then it is run
(``running/``).
"""
