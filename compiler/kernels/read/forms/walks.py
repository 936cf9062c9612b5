"""The statements by which one loop walks several ranges, one after the other."""

from __future__ import annotations

from .of_keys import HEAD_OF_GROUP, HEADS

WALK = "walk = ()"
WALKED = """
for r in tl.static_range(0, HOLE_ranges):
    pass
"""

_THEN = "\nwalk = and_then(walk, lo, hi)"
_LOOPS = {
    "\nfor j in range(lo, hi):": "for t in range(0, walk_length(walk)):\n    j = block_at(walk, t)",
    HEADS.format(place="i").replace(HEAD_OF_GROUP, "").rstrip(): """size = walk_length(walk)
for turn in range(0, group * size):
    head = kv_head if ALONE else kv_head * group + turn // size
    i = block_at(walk, turn if ALONE else turn % size)""",
}


def of_walk(form: str) -> tuple[str, str]:
    """What is done with each range of a walk, and its loop, where one range is taken in this form."""
    for one, several in _LOOPS.items():
        head, found, body = form.partition(one)
        if found:
            return head + _THEN, several + body
    raise AssertionError("a form without a loop over blocks")
