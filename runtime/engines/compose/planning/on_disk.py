"""The blocks and diagonals of long sequences on disk, so that they are found once per machine, not per process.

An entry is of a program, a length and a price, and its name holds a digest of these and of all that plans. Only round
lengths are kept, of which there are four to each power of two. Nothing in an entry is executed; one
that was cut short, edited or does not read is ignored with a warning and written anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .....compiler.cache import cache_directory, digest, entry, is_fresh, keep_entry
from .....compiler.passes.program import Program
from ..plan.block import Block
from ..plan.diagonal import Diagonal
from ..plan.tiles import Tiles
from ..pricing.price import Price

Parts: TypeAlias = list[tuple[Block | Diagonal, ...]]
"""Of each sweep."""

FROM = 8192
"""Shorter sequences are planned in other ways too, of all their pairs."""

FEWEST = 32
"""Round lengths are multiples of this."""

LARGEST = 1 << 25
"""Pairs of the masks of an entry; a plan of more is not kept."""

_FORMAT = "patternc blocks 1"
_ROOMS = ("plan", "planning", "pricing")


def rounded(n: int) -> int:
    """The next round length."""
    step = max(FEWEST, 1 << max(0, (n - 1).bit_length() - 3))
    return -(-n // step) * step


def kept(program: Program, n: int, nk: int, price: Price, find: Callable[[], Parts]) -> Parts:
    """What ``find`` gives for n queries and nk keys; from the disk where it is there."""
    if not program.entry or is_fresh() or not (FROM < n == rounded(n) == nk):
        return find()
    key = digest("\n".join((program.entry, _planner(), str(n), repr(price))))
    path, title = cache_directory() / f"blocks_{key[:32]}.txt", f"{_FORMAT} {key}"
    if (found := entry(path, title, read, "the length is planned anew")) is not None:
        return found
    found = find()
    if sum(mask.size for mask in _masks(found).values()) <= LARGEST:
        keep_entry(path, title, write(found))
    return found


def write(parts: Parts) -> str:
    """One line: the numbers of each block or diagonal of each sweep, with the place of its mask; the shapes of these,
    and their bits."""
    masks = _masks(parts)
    places = {look: at for at, look in enumerate(masks)}

    def plain(part: Block | Diagonal) -> list[Any]:
        mask = _mask(part)
        return [None if mask is None else places[_look(mask)], *_numbers(part)]

    bits = b"".join(np.packbits(mask).tobytes() for mask in masks.values())
    return json.dumps(
        [
            [list(map(plain, sweep)) for sweep in parts],
            [mask.shape for mask in masks.values()],
            base64.b64encode(zlib.compress(bits, 1)).decode("ascii"),
        ],
        separators=(",", ":"),
    )


def read(text: str) -> Parts:
    """The parts that ``write`` wrote. Raises ValueError for any other text."""
    try:
        sweeps, shapes, bits = json.loads(text)
        masks = list(_unpacked(shapes, bits))
        return [_parts(masks, sweep) if sweep else () for sweep in sweeps]
    except (TypeError, IndexError, RecursionError, zlib.error) as error:
        raise ValueError(f"these are no blocks: {error}") from None


def _mask(part: Block | Diagonal) -> NDArray[np.bool_] | None:
    return part.mask.numpy() if isinstance(part.mask, Tensor) else part.mask


def _masks(parts: Parts) -> dict[tuple[tuple[int, ...], bytes], NDArray[np.bool_]]:
    every = {id(part.mask): mask for sweep in parts for part in sweep if (mask := _mask(part)) is not None}
    return {_look(mask): mask for mask in every.values()}


def _look(mask: NDArray[np.bool_]) -> tuple[tuple[int, ...], bytes]:
    return mask.shape, mask.tobytes()


def _numbers(part: Block | Diagonal) -> list[int]:
    if isinstance(part, Diagonal):
        return [int(number) for number in (part.offset, part.start, part.stop, part.period)]
    tiles = part.tiles
    ranks = tiles.row, tiles.rows, tiles.row_step, tiles.key, tiles.keys, tiles.key_step, tiles.count, tiles.growth
    return [int(number) for number in (part.first_class, part.key_class, part.classes, part.triangle, *ranks)]


def _parts(masks: list[NDArray[np.bool_]], sweep: list[list[Any]]) -> tuple[Block | Diagonal, ...]:
    """Those of a sweep, of which there may be hundreds: their numbers, and where their masks are."""
    places, *numbers = zip(*sweep, strict=True)
    if {*map(type, chain(*numbers))} != {int} or not {*map(type, places)} <= {int, type(None)}:
        raise ValueError(f"{sweep!r:.200} are no blocks")
    held = [None if at is None else masks[at] for at in places]
    if len(numbers) == 4:
        return tuple(map(_diagonal, *numbers, held))
    first, key, classes, triangle, *ranks = numbers
    return tuple(map(_block, first, key, classes, triangle, map(Tiles, *ranks), held))


def _diagonal(offset: int, start: int, stop: int, period: int, mask: NDArray[np.bool_] | None) -> Diagonal:
    if mask is not None and (mask.ndim != 1 or period > len(mask) or (not period and stop - start != len(mask))):
        raise ValueError(f"the mask of the diagonal {offset} has another shape")
    return Diagonal(offset, start, stop, None if mask is None else torch.from_numpy(mask), period)


def _block(first: int, key: int, classes: int, triangle: int, tiles: Tiles, mask: NDArray[np.bool_] | None) -> Block:
    if triangle not in (0, 1) or (mask is not None and mask.shape != (tiles.rows, tiles.keys)):
        raise ValueError(f"the mask of {tiles!r} has another shape")
    return Block(first, key, classes, tiles, mask, triangle == 1)


def _unpacked(shapes: list[list[int]], bits: str) -> Iterator[NDArray[np.bool_]]:
    sizes = [math.prod(shape) for shape in shapes]
    lengths = [-(-size // 8) for size in sizes]
    packed = zlib.decompressobj().decompress(base64.b64decode(bits, validate=True), sum(lengths) + 1)
    if min(sizes, default=1) < 1 or sum(sizes) > LARGEST or sum(lengths) != len(packed):
        raise ValueError("these are no masks of such shapes")
    for shape, size, length, first in zip(shapes, sizes, lengths, accumulate([0, *lengths]), strict=False):
        found = np.frombuffer(packed, dtype=np.uint8, count=length, offset=first)
        yield np.unpackbits(found, count=size).view(np.bool_).reshape(shape)


def planner_files() -> list[Path]:
    """The files that make plans."""
    here = Path(__file__).parents[1]
    return sorted(path for room in _ROOMS for path in (here / room).rglob("*.py"))


@lru_cache(maxsize=1)
def _planner() -> str:
    contents = hashlib.sha256()
    for path in planner_files():
        contents.update(f"{path.name}\n".encode() + path.read_bytes())
    return contents.hexdigest()
