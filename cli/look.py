"""patternc show and patternc explain: what a pattern looks like, is and costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..compiler.report.console import When, failures, paint, say
from .options import Color, HeadDim, Heads, Length, One, Parameters, Plain, Quiet

if TYPE_CHECKING:
    from ..compiler.explain import Account
    from ..compiler.explain.prediction import BreakEven, Prediction
    from ..compiler.pattern import Pattern


def show(
    file: One,
    length: Length = 64,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="x.svg, x.png or x.html instead.")] = None,
    parameter: Parameters = [],  # noqa: B006
    color: Color = When.AUTO,
    quiet: Quiet = False,
) -> None:
    """Draw the mask, in the terminal or as a picture."""
    from ..compiler.output import check_file
    from ..compiler.relations.isl.context import BudgetExceeded
    from ..compiler.report.draw import draw, save
    from ..compiler.selection import select

    with failures(BudgetExceeded):
        pattern = select(file, parameter)
        if output is None:
            print(draw(pattern, length, paint(color).color))
        else:
            check_file(output)
            save(pattern, length, output)
            say(f"wrote {output}", quiet)


def explain(
    context: typer.Context,
    file: One,
    length: Length = 4096,
    query: Annotated[int | None, typer.Option("--query", min=0, help="Also list the keys of this query.")] = None,
    head_dim: HeadDim = 64,
    heads: Heads = 4,
    device: Annotated[str, typer.Option("--device", help="cpu (this one), or a100, h100, h200, b200, mi300x.")] = "cpu",
    parameter: Parameters = [],  # noqa: B006
    output_format: Annotated[Plain, typer.Option("--output-format")] = Plain.TEXT,
    color: Color = When.AUTO,
) -> None:
    """Say what a pattern or plan is and costs: its kind, keys, cache, hops, orders and time."""
    from ..compiler.explain import explain as account
    from ..compiler.explain import explain_plan
    from ..compiler.relations.isl.context import BudgetExceeded
    from ..compiler.report import explanation, plan_account
    from ..compiler.selection import select, select_plan

    as_text = output_format is Plain.TEXT
    with failures(BudgetExceeded):
        plan = select_plan(file, parameter)
        if plan is not None:
            _refuse_of_a_plan(context, "query", "head_dim", "heads", "device")
            whole = explain_plan(plan, length)
            print(plan_account.text(whole, paint(color)) if as_text else plan_account.as_json(whole))
            return
        pattern = select(file, parameter)
        found = account(pattern, length, head_dim=head_dim, query=query)
        predicted = _predict(pattern, found, heads, device)
        lists = _break_even(pattern, length, heads, head_dim, device)
    if as_text:
        print(explanation.text(found, paint(color), predicted, lists))
    else:
        print(explanation.as_json(found, predicted, lists))


def _refuse_of_a_plan(context: typer.Context, *names: str) -> None:
    """Options that say something of one pattern."""
    from ..compiler.selection import UsageError

    for name in names:
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        option = name.replace("_", "-")
        raise UsageError(f"--{option} is for a pattern: explain those that the plan names, each by itself")


def _predict(pattern: Pattern, found: Account, heads: int, device: str) -> Prediction | None:
    """On this machine's CPU in float32, from measured rates; of a GPU, in 16 bits, by arithmetic."""
    from ..compiler.explain.roofline import ACCELERATORS, roofline
    from ..compiler.selection import UsageError

    if device != "cpu" and device not in ACCELERATORS:
        raise UsageError(f"unknown device {device!r}; choose of cpu, {', '.join(ACCELERATORS)}")
    if found.cost is None:
        return None
    if device != "cpu":
        from ..compiler.lowering.whole import is_whole

        whole = is_whole(pattern.bound.union, pattern.direction, found.length)
        return roofline(found.cost, ACCELERATORS[device], batch=1, heads=heads, whole=whole)
    from ..runtime.compile import compile

    program = compile(pattern, head_dim=found.cost.head_dim, engine="compose")
    return program.predict(found.length, heads=heads)


def _break_even(pattern: Pattern, length: int, heads: int, head_dim: int, device: str) -> tuple[BreakEven, ...]:
    """Of selectors, on this machine's CPU; of a GPU nothing was measured."""
    if device != "cpu" or not pattern.bound.selectors:
        return ()
    from ..runtime.learned.pricing.break_even import break_even

    return tuple(break_even(pattern, length, heads=heads, head_dim=head_dim))
