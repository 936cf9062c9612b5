"""A plan applied to tensors, forward and backward.

``stages.py`` runs its blocks through torch's kernel (``flash.py``) and its diagonals, in pieces of some heads each
(``pieces.py``) on threads of its own (``crew.py``). Some queries of a sequence, of which there is no plan, run by
``rows.py``.
"""
