"""The most memory that one call takes, beside its inputs.

On a GPU torch's allocator counts. On a CPU nobody does: there a process of its own, on Linux, reads the high-water mark
of its resident memory around the second call (the first one compiles and plans), after the C library has given back
what it kept. Memory that a call takes from what was kept all the same is not seen, so that small figures are too small.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from budget import Item, execute
from cases import CASES

from patternc.runtime.bench.inputs import Inputs

_FREE = Path("/proc/meminfo")
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def free_bytes(device: str) -> int:
    """What can be allocated; where a CPU's system does not tell, all that there is."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    if _FREE.exists():
        lines = _FREE.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) << 10
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def peak_on_gpu(run: Callable[[], Any]) -> int:
    """Bytes."""
    run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def peak_apart(case: str, contestant: str, settings: dict[str, Any], seconds: float) -> dict[str, int] | str:
    """Bytes by pass, in a process of its own on a CPU; or why there are none."""
    if not _CLEAR.exists():
        return "measured on Linux only"
    command = (sys.executable, __file__, case, contestant, json.dumps(settings))
    done = execute(Item(f"{contestant}, {case}", command, seconds))
    if done.word:
        return done.word[:200]
    found: dict[str, int] = json.loads(done.text)
    return found


def _main() -> None:
    from contestants import CONTESTANTS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case")
    parser.add_argument("contestant")
    parser.add_argument("settings", type=json.loads)
    options = parser.parse_args()
    s = options.settings
    torch.set_num_threads(s["threads"])
    shape = (s["batch"], s["heads"], s["n"], s["head_dim"])
    inputs = Inputs.draw(shape, "cpu", getattr(torch, s["dtype"]))
    case = next(case for case in CASES if case.name == options.case)
    contestant = next(each for each in CONTESTANTS if each.name == options.contestant)
    prepared = contestant.prepare(contestant.computes(case), inputs)
    print(json.dumps({what: _peak(run) for what, run in prepared.runs().items()}))


def _peak(run: Callable[[], Any]) -> int:
    run()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    _CLEAR.write_text("5")  # the high-water mark starts again from what is resident now
    before = _kilobytes("VmRSS")
    kept = run()
    peak = _kilobytes("VmHWM")
    del kept
    return max(0, peak - before) << 10


def _kilobytes(name: str) -> int:
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    _main()
