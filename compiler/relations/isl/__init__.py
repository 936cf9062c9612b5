"""Sets of integers, exactly: the one door to isl. ``presburger.py`` has sets as the compiler uses them; what the other
files hand out raw is for ``compiler/relations`` alone.
"""
