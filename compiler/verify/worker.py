"""What runs in a process of ``process.py``: claims on stdin, READY and results on stdout, pickled."""

from __future__ import annotations

import pickle
import sys

from .guard import proved
from .process import READY, limit
from .prove import Disagreement
from .result import Result


def main() -> None:
    """Reads (bound pattern or plan, numbers of claims) again and again; writes each verdict as soon as it is known, or
    in its place the Disagreement that is to be raised."""
    limit(int(sys.argv[1]))
    say(READY)
    while True:
        try:
            bound, numbers = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        for number in numbers:
            try:
                found: Result | Disagreement = proved(bound, bound.claims[number])
            except Disagreement as error:
                found = error
            say(found)


def say(answer: Result | Disagreement | str) -> None:
    pickle.dump(answer, sys.stdout.buffer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
