"""Where the formatter puts comments, by example."""

from __future__ import annotations

import pytest
from texts import check, dedented

EXAMPLES = {
    "line up": (
        """
        rule a = b # one
        rule abcd = b # two
        # own
        rule c = d # three
        pattern p causal { # four
          step a # five
          step abc # six
          step b
          step d   #seven
             # eight
        } # nine
        # ten
        """,
        """
        rule a    = b  # one
        rule abcd = b  # two
        # own
        rule c = d  # three

        pattern p causal {  # four
            step a          # five
            step abc        # six
            step b
            step d  #seven
            # eight
        }  # nine
        # ten
        """,
    ),
    "within a statement": (
        """
        pattern p(w: int, # width
          s: int) causal {
          step near = local(w) # near
            | # either
            # own
            global(first(2)) # far
          # after
        }
        """,
        """
        pattern p(w: int,  # width
                s: int) causal {
            step near = local(w)  # near
                |                 # either
                # own
                global(first(2))  # far
            # after
        }
        """,
    ),
    "around a brace": (
        """
        pattern p causal # before
          { # after
          step a }
        plan q # before
        # own
        { layers all : p
        # last
        }
        """,
        """
        pattern p causal  # before
        {                 # after
            step a
        }

        plan q  # before
                # own
        {
            layers all : p
            # last
        }
        """,
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_by_example(name: str) -> None:
    before, after = (dedented(text) for text in EXAMPLES[name])
    assert check(before) == after
