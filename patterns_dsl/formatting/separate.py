"""separate: where blank lines stand. One parts two declarations; within a body the author's stay, one at a time."""

from __future__ import annotations

from collections.abc import Sequence

from .layout import Block


def separate(blocks: Sequence[Block]) -> list[bool]:
    """For each block whether a blank line goes before it."""
    blank = list[bool]()
    last: Block | None = None  # the declaration before, or the docstring of the file
    free = 0  # the block after it: where a blank line goes if there is none
    documented = False  # the declaration that comes has its docstring already
    for place, block in enumerate(blocks):
        statement = block.statement
        blank.append(place > 0 and statement.after_blank and not documented)
        if statement.level == 1:
            blank[place] &= blocks[place - 1].statement.level == 1
        elif statement.kind == "RBRACE":
            blank[place] = False
        elif statement.kind != "COMMENT" and not documented:
            if last is not None and not any(blank[free:]) and not _may_touch(last, block):
                blank[free] = True
            documented = statement.kind == "DOC" and last is not None
        else:
            documented &= statement.kind == "COMMENT"
        if statement.ends_declaration or (statement.kind == "DOC" and statement.level == 0 and last is None):
            last, free = block, place + 1
    return blank


def _may_touch(first: Block, second: Block) -> bool:
    """Whether no blank line need be between two declarations."""
    match first.statement.kind, second.statement.kind:
        case "RULE", "RULE":
            return first.is_line and second.is_line
        case "FROM", "FROM":
            return True
        case "DOC", kind:
            return kind != "DOC"
        case _:
            return False
