"""The process in which an editor's proofs run, one after the other: questions on stdin, answers on stdout.

It stays, and with it the relations that it has computed: the next proof of a pattern that changed a little is quick.
Its memory is limited here, its time by ``prover``, which puts another process in its place.
"""

from __future__ import annotations

import sys
from typing import Any, BinaryIO

from ...patterns_dsl.syntax import BoundPattern
from ..verify.guard import proved
from ..verify.oracle import claims as claims  # loaded before the first refutation needs it
from ..verify.process import MEMORY_LIMIT, limit
from .figures import cache, figures
from .question import HEADER, Question, Task, packed, size, unpacked


def answer(question: Question) -> Any:
    match question:
        case Question(Task.PROVE, subject):
            return tuple(proved(subject, claim) for claim in subject.claims)
        case Question(Task.FIGURES, BoundPattern() as subject):
            return figures(subject)
        case Question(Task.CACHE, BoundPattern() as subject):
            return cache(subject)
        case _:
            raise TypeError(f"there are no figures of a plan: {question}")


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answers until the questions end."""
    while len(header := questions.read(HEADER)) == HEADER:
        answers.write(packed(answer(unpacked(questions.read(size(header))))))
        answers.flush()


if __name__ == "__main__":
    limit(MEMORY_LIMIT)
    # Answers alone go to the pipe: whatever prints meanwhile, prints to stderr.
    pipe, sys.stdout = sys.stdout, sys.stderr
    serve(sys.stdin.buffer, pipe.buffer)
