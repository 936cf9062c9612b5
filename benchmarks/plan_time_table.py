"""The table of ``plan_time.py``: what planning takes by pattern, and which targets are met."""

from __future__ import annotations

from typing import Any

from record import Target

WARM_LIMIT_MS, LENGTH_LIMIT_MS = 20.0, 1.0


def targets_of(row: dict[str, Any]) -> list[Target]:
    """What is on disk, and what a new length costs, in time at the worst of the lengths; tables as large as at the
    shortest length."""
    name = row["pattern"]
    if "left_out" in row:
        return []
    if "failed" in row or any("failed" in found for found in row["plans"]):
        return [Target(f"{name}: FAILED; plan, ms", WARM_LIMIT_MS, float("inf"), False)]
    plans = sorted(row["plans"], key=lambda found: found["n"])

    def slowest(what: str) -> float:
        return 1e3 * max(found[what]["median"] for found in plans)

    growth = max(found["held_bytes"] for found in plans) - plans[0]["held_bytes"]
    to_first, to_program = (1e3 * row[what]["median"] for what in ("warm_seconds", "warm_program_seconds"))
    to_plan = to_program + slowest("seconds")
    return [
        Target(f"{name}: text to the first imported kernel, all on disk, ms", WARM_LIMIT_MS, to_first, False),
        Target(f"{name}: launch at another length, ms", LENGTH_LIMIT_MS, slowest("launch_seconds"), False),
        Target(f"{name}: text to a plan of compose, all on disk, ms", WARM_LIMIT_MS, to_plan, False),
        Target(f"{name}: compose at another length, ms", LENGTH_LIMIT_MS, slowest("other_seconds"), False),
        Target(f"{name}: bytes that the plan gains with n", 0, growth, False),
    ]


def line(row: dict[str, Any]) -> str:
    if "left_out" in row:
        return f"{row['pattern']:24}  left out: {row['left_out']}"
    if "failed" in row:
        return f"{row['pattern']:24}  FAILED: {row['failed']}"
    cells = [f"{row['pattern']:24}{1e3 * row['lower_seconds']['median']:10.1f}{1e3 * row['lower_first_seconds']:8.0f}"]
    cells[0] += f"{1e3 * row['warm_seconds']['median']:8.1f}"
    for found in row["plans"]:
        if "failed" in found:
            cells.append(f"n={found['n']} FAILED: {found['failed']}")
            continue
        peak = "not traced" if found["peak_bytes"] is None else f"{found['peak_bytes']:,} B"
        sizes = f"{found['held_bytes']:,} B, peak {peak}, {found['blocks']} blocks"
        cells.append(
            f"n={found['n']}: {1e3 * found['seconds']['median']:.2f} ms, "
            f"anew {1e3 * found['anew_seconds']['median']:.2f} ms, "
            f"another {1e3 * found['other_seconds']['median']:.2f} ms, "
            f"launch {1e3 * found['launch_seconds']['median']:.2f} ms, {sizes}"
        )
    return " | ".join(cells)
