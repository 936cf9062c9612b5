"""A comparison in text: medians with their spread, ratios with losses in plain sight, and who did not take part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cases import BOTH, DECODE, DENSE, FORWARD


def table(result: dict[str, Any]) -> str:
    """Of one length; ``result["dense"]`` has by pattern the name under which the rival without one was timed."""
    dense = result["dense"]
    times = {(row["pattern"], row["pass"], row["contestant"]): row for row in result["seconds"]}
    contestants = list(dict.fromkeys(row["contestant"] for row in result["seconds"]))
    s = result["settings"]
    title = f"\nB={s['batch']} H={s['heads']} D={s['head_dim']} n={s['n']} {s['dtype']} on {s['device']}, "
    title += f"{s['rounds']} rounds; milliseconds: medians, half the distance of the quartiles"
    rows = [["pattern", "pass", *contestants]]
    for name in dense:
        passes = [FORWARD, BOTH, DECODE]
        passes += dict.fromkeys(what for pattern, what, _ in times if pattern == name and what not in passes)
        for what in passes:
            cells = [
                milliseconds(times.get((name, what, each)) or _shared(times, dense[name], what, each))
                for each in contestants
            ]
            if any(cell != "-" for cell in cells):
                rows.append([name, what, *cells])
    return "\n".join(
        [title, *aligned(rows), "", *_ratios(result), *_once(result), *_memory(result, contestants), *_left_out(result)]
    )


def _shared(times: dict[Any, Any], name: str, what: str, contestant: str) -> dict[str, Any] | None:
    return times.get((name, what, contestant)) if contestant == DENSE else None


def _once(result: dict[str, Any]) -> list[str]:
    """What is paid once, in seconds: compiling, from text to program, the first call, and one that plans anew."""
    names = ("compile_seconds", "lower_seconds", "first_call_seconds", "planned_call_seconds")
    rows = [["paid once, seconds", "", *(name.removesuffix("_seconds").replace("_", " ") for name in names)]]
    for row in result["facts"]:
        if any(name in row for name in names):
            cells = (f"{row[name]:.2f}" if name in row else "-" for name in names)
            rows.append([row["pattern"], row["contestant"], *cells])
    return [*aligned(rows), ""] if len(rows) > 1 else []


def _memory(result: dict[str, Any], contestants: Sequence[str]) -> list[str]:
    if not result["memory"]:
        return []
    peaks = {(row["pattern"], row["pass"], row["contestant"]): row["bytes"] for row in result["memory"]}
    rows = [["MiB beside the inputs", "pass", *contestants]]
    for name, dense in result["dense"].items():
        for what in (FORWARD, BOTH, DECODE):
            found = [peaks.get((dense if each == DENSE else name, what, each)) for each in contestants]
            if any(peak is not None for peak in found):
                rows.append([name, what, *("-" if peak is None else f"{peak / 2**20:.1f}" for peak in found)])
    return [*aligned(rows), ""]


def _ratios(result: dict[str, Any]) -> list[str]:
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in result["ratios"]:
        key = (row["pattern"], row["pass"], row["contestant"])
        found.setdefault(key, {})[row["rival"]] = row["median"]
    rivals = list(dict.fromkeys(row["rival"] for row in result["ratios"]))
    if not rivals:
        return []
    rows = [["times faster than", "pass", "", *rivals]]
    rows += [[*key, *(_ratio(row.get(rival)) for rival in rivals)] for key, row in found.items()]
    return [*aligned(rows), "below 1 ours is slower", ""]


def _left_out(result: dict[str, Any]) -> list[str]:
    """One line per reason."""
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for row in result["left_out"]:
        reasons.setdefault((row["contestant"] or "all", row["pass"], row["reason"]), []).append(row["pattern"])
    lines = []
    for (contestant, what, reason), patterns in reasons.items():
        named = "; ".join(dict.fromkeys(pattern for pattern in patterns if pattern))
        where = ", ".join(part for part in (contestant, what, named) if part)
        lines.append(f"left out: {where}: {reason}")
    return lines


def aligned(rows: Sequence[Sequence[str]], left: int = 2) -> list[str]:
    """Columns of equal width: the first ``left`` to the left, the others to the right."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:{'<' if k < left else '>'}{widths[k]}}" for k, cell in enumerate(row)).rstrip()
        for row in rows
    ]


def milliseconds(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    return f"{1e3 * row['median']:.2f} ±{50 * (row['quartile_3'] - row['quartile_1']) / row['median']:.0f}%"


def _ratio(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}"
