"""What the formatter makes of a text, by example."""

from __future__ import annotations

import pytest
from texts import check, dedented

EXAMPLES = {
    "spaces": (
        "rule  a( w:int,s :set={ 0,5 .. 9 } ) ={(i,j):-w<i-j and not(i in{})or exists k in -1 ..3:i=2 ^ - k}",
        """
        rule a(w: int, s: set = {0, 5..9}) = { (i, j) : -w < i - j and not (i in {}) or exists k in -1..3 : i = 2^-k }
        """,
    ),
    "calls": (
        "rule a = f ( l=128,g( ),[ x,y ] ) | columns({t:t mod 64=0})&(not b@c) - {-1} rule b = f(10%)",
        "rule a = f(l = 128, g(), [x, y]) | columns({ t : t mod 64 = 0 }) & (not b @ c) - {-1}\nrule b = f(10%)",
    ),
    "coordinates": (
        "pattern p causal grid( y,x=64 ) { step{(i,j):i . x=j.x and - i.y+( - 2) <= - - j.y} }",
        "pattern p causal grid(y, x = 64) { step { (i, j) : i.x = j.x and -i.y + (-2) <= --j.y } }",
    ),
    "signs line up": (
        """
        pattern p causal { step a=self step long_name=a|self step b step cd=b
          learn x=topk(k=1)   learn yy=topk(k=2)

          step d=a step ef=a }
        plan q { layers 0..1,3:p layers all heads 0..3:p merged prove reach layers 4:p(l=1) }
        rule a=self rule bc(w:int)=local(w)
        """,
        """
        pattern p causal {
            step a         = self
            step long_name = a | self
            step b
            step cd = b
            learn x  = topk(k = 1)
            learn yy = topk(k = 2)

            step d  = a
            step ef = a
        }

        plan q {
            layers 0..1, 3        : p
            layers all heads 0..3 : p merged
            prove reach
            layers 4 : p(l = 1)
        }

        rule a          = self
        rule bc(w: int) = local(w)
        """,
    ),
    "runs of layers": (
        "plan q { layers all : p prove reach in any(k + 1)*2 layers prove not reach in any 3 layers }",
        """
        plan q {
            layers all : p
            prove reach in any (k + 1) * 2 layers
            prove not reach in any 3 layers
        }
        """,
    ),
    "blank lines": (
        '''


        """File."""
        rule a = b
        rule c = d
        """Of e."""

        rule e = f
        rule g = h


        # about i

        rule i = j
        from "a.pat" import k
        from "b.pat" import l
        # about p
        pattern p causal {

          """Inside."""


          step a


          step b

        }
        plan q { layers all : p }
        # end


        ''',
        '''
        """File."""
        rule a = b
        rule c = d

        """Of e."""
        rule e = f
        rule g = h

        # about i

        rule i = j

        from "a.pat" import k
        from "b.pat" import l

        # about p
        pattern p causal {
            """Inside."""

            step a

            step b
        }

        plan q {
            layers all : p
        }
        # end
        ''',
    ),
    "docstrings": (
        '''
        """File,
             in lines
           of text.
        """
        """Of a rule."""

        # and more
        rule a = b pattern p causal { """Inside,
          in lines.""" step a }
        ''',
        '''
        """File,
          in lines
        of text.
        """

        """Of a rule."""
        # and more
        rule a = b

        pattern p causal {
            """Inside,
            in lines."""
            step a
        }
        ''',
    ),
    "short patterns": (
        """
        pattern a causal{step self}
        pattern b causal {
          step self }
        pattern c(w: int = 4) causal{step local(w)} # short
        pattern d causal{step self step self}
        pattern e causal{step self prove causal}
        """,
        """
        pattern a causal { step self }

        pattern b causal {
            step self
        }

        pattern c(w: int = 4) causal { step local(w) }  # short

        pattern d causal {
            step self
            step self
        }

        pattern e causal {
            step self
            prove causal
        }
        """,
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_by_example(name: str) -> None:
    before, after = (dedented(text) for text in EXAMPLES[name])
    assert check(before) == after
