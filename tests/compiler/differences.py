"""What of a program was read back otherwise than it was meant."""

from __future__ import annotations

import random
from dataclasses import replace

from patternc.compiler.passes.program import Program
from patternc.compiler.relations.integer import evaluate


def differences(back: Program, program: Program) -> list[str]:
    """What was read otherwise than it was meant. A mask comes back with its meaning, in other words; one that no loop
    asks is not in the text."""
    found = [] if len(back.terms) == len(program.terms) else ["terms"]
    masks = tuple(replace(one, keep=other.keep) for one, other in zip(back.terms, program.terms, strict=False))
    found += [] if replace(back, terms=masks) == program else ["all but the masks"]
    generator, asked = random.Random(0), _asked(program)
    for index, (one, other) in enumerate(zip(back.terms, program.terms, strict=False)):
        if index not in asked:
            continue
        for _ in range(400):
            most = generator.choice([8, 40, 300])
            values = {name: generator.randrange(most) for name in ("c", "a", "b", "n", "nq", "nk")}
            if bool(evaluate(one.keep, values)) != bool(evaluate(other.keep, values)):
                found.append(f"the mask of {other.label} at {values}")
                break
    return found


def _asked(program: Program) -> set[int]:
    """The terms of which some loop asks the mask."""
    sweeps = [sweep for kernel in (*program.forward, *program.backward) for sweep in kernel.sweeps]
    return {sweep.term for sweep in sweeps if any(span.masked for span in sweep.ranges)}
