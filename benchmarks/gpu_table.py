"""The table of the GPU suite: what is right, how fast it is, and which targets are met."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from budget import DONE, Outcome
from tables import aligned

OK, WRONG, REFUSED = "ok", "WRONG", "refused"


def verdicts(outcome: Outcome) -> list[dict[str, Any]]:
    """A row per data type that was judged: the largest share of its error budget that a result takes."""
    name, asked = outcome.item.name.split()
    if outcome.status != DONE:
        return [{"pattern": name, "dtype": asked, "verdict": outcome.status, "word": outcome.word}]
    rows = []
    for dtype, found in json.loads(outcome.text).items():
        row = {"pattern": name, "dtype": dtype}
        if "refused" in found:
            rows.append({**row, "verdict": REFUSED, "word": found["refused"]})
            continue
        wrong = [f"{call}: {each['wrong']}" for call, each in found["calls"].items() if "wrong" in each]
        shares = [value for each in found["calls"].values() for value in each.values() if not isinstance(value, str)]
        row |= {"share_of_allowed_error": max(shares), "calls": found["calls"]}
        rows.append({**row, "verdict": WRONG if wrong else OK, "word": wrong[0] if wrong else ""})
    return rows


def table(
    dtypes: Iterable[str], correct: list[dict[str, Any]], timed: list[Outcome], results: list[Any], targets: list[Any]
) -> list[str]:
    """Correctness in a line per data type and one for whatever is not right; then speed, ours beside the rivals."""
    rows = [["what", "ours", "rivals, ms", "verdict"]]
    for dtype in dtypes:
        right = [row for row in correct if row["dtype"] == dtype and row["verdict"] == OK]
        worst = max(right, key=lambda row: float(row["share_of_allowed_error"]), default=None)
        found = (
            f"at most {worst['share_of_allowed_error']:.2f} of the allowed error ({worst['pattern']})" if worst else ""
        )
        rows.append([f"correct, {dtype}", found, "", f"{len(right)} patterns are right"])
    rows += [
        [f"correct, {row['pattern']} {row['dtype']}".strip(), "", "", f"{row['verdict']}: {row['word']}"]
        for row in correct
        if row["verdict"] != OK
    ]
    for result in results:
        rows += speeds(result)
    for each in targets:
        found = f"{each['found']:.4g}, wanted {'>=' if each['at_least'] else '<='} {each['wanted']:g}"
        rows.append([f"target, {each['what']}", found, "", "met" if each["met"] else "MISSED"])
    rows += [[f"speed, {each.item.name}", "", "", f"{each.status}: {each.word}"] for each in timed if each.word]
    return aligned(rows, left=4)


def speeds(result: dict[str, Any]) -> list[list[str]]:
    """A row per pattern and pass, medians in milliseconds; a further one for whatever failed or is wrong."""
    n, rows = result["settings"]["n"], []
    times = {(row["pattern"], row["pass"], row["contestant"]): 1e3 * row["median"] for row in result["seconds"]}
    names = list(dict.fromkeys(name for _, _, name in times))
    for pattern, dense in result["dense"].items():
        for what in dict.fromkeys(what for _, what, _ in times):
            found = {
                name: times.get((dense if name == "dense" else pattern, what, name))
                for name in names
                if (dense if name == "dense" else pattern, what, name) in times
            }
            ours = ", ".join(f"{name[6:]} {ms:.3g} ms" for name, ms in found.items() if name.startswith("ours"))
            others = ", ".join(f"{name} {ms:.3g}" for name, ms in found.items() if not name.startswith("ours"))
            if found:
                rows.append([f"speed, {pattern}, n={n}, {what}", ours, others, ""])
    for row in result["left_out"]:
        if row["pattern"] and row["reason"].startswith(("FAILED", "WRONG")):
            what = f"speed, {row['pattern']}, n={n}, {row['pass'] or 'all'}"
            rows.append([what, "", row["contestant"], row["reason"]])
    return rows
