"""Dilated neighbourhood attention: the k nearest among the tokens at multiples of d from the query, shifted inwards at
the borders of that group (Hassani & Shi 2022, section 3.2)."""

from "library:neighborhood" import nearest

pattern dilated_neighborhood(k: int = 7, d: int = 8) bidirectional {
    require k mod 2 = 1 and k >= 3 and d >= 2
    step dilate(nearest(k), d)

    prove nonempty
    prove not reach at n = 2 * d  # the groups never meet
    prove keys <= k
}

"""As in the paper's models: layers of the plain window and of the dilated one in turn."""
pattern dilated_neighborhood_in_turn(k: int = 7, d: int = 8) bidirectional {
    require k mod 2 = 1 and k >= 3 and d >= 2
    step near = nearest(k)
    step far  = dilate(nearest(k), d)

    prove nonempty
    # A dilated layer takes a token all through its group here, a plain one k div 2 groups on: d div 2 at most are due.
    prove reach in 2 * ((d div 2 - 1) div (k div 2) + 1) steps at n = d * k
    prove keys <= 2 * k - 1 at n = d * k
}
