"""How long a plan takes: what it asks for (``price.py``) times the rates of this machine (``machine.py``), which a
probe measures once (``probe.py``).
"""
