"""One plan for many lengths: which length is planned in place of another (``trim.py``), by what the pattern asks of it
(``questions.py``), how a plan is cut (``longer.py``; in orders of boxes, ``missing.py``), and what is planned anew at
each length (``anew.py``).
"""
