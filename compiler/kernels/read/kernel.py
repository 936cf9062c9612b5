"""read: the statements of one kernel."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from ...passes.program import Order
from .forms import kernel, of_keys, of_queries
from .forms.edges import KEY_EDGES, QUERY_EDGES
from .integer import refuse
from .source_template import same_arguments, template
from .statements import Statements, integer
from .sweeps import Forms, Loops, ReadSweep, read_sweeps
from .tables import POINTERS, take_table


@dataclass(frozen=True, slots=True)
class ReadKernel:
    """A kernel as its text has it. ``held``: ranks of a stationary tile."""

    held: int
    order: Order
    sweeps: tuple[ReadSweep, ...]
    lengths: tuple[str, ...]
    table: int = 0


def read_query_kernel(function: ast.FunctionDef, first: bool) -> ReadKernel:
    """A ``forward_k`` or ``backward_query_k``. ``first``: whether it must start afresh, or resume."""
    forms = of_queries
    kind = "forward" if function.name.startswith("forward") else "backward_query"
    if kind == "forward":
        _check_signature(function, "q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr, spans_ptr, owner_ptr", ("q", "k", "v", "o"))
        middle, end = forms.FORWARD_HEAD.format(start=forms.FRESH if first else forms.RESUME), forms.FORWARD_END
    else:
        given = "q_ptr, k_ptr, v_ptr, do_ptr, out_ptr, final_ptr, lse_ptr, delta_ptr, dq_ptr, spans_ptr, owner_ptr"
        _check_signature(function, given, ("q", "k", "v", "do", "o"))
        middle, end = forms.GRADIENT_HEAD, forms.GRADIENT_END
    statements = Statements(function, function.body)
    order, head, lengths = statements.take_head(forms.QUERY_HEAD, forms.TILED_QUERY_HEAD)
    statements.take(middle)
    table = take_table(statements, kind, order, lengths) if _has_table(function) else 0
    step = forms.STEPS[kind]
    plain, tiled = (
        Loops(
            lengths.write(masked).format(
                load_whole=load.format("j", True), load_each=load.format("j", False), step=step.format("kept", "keep, ")
            ),
            lengths.write(full).format(
                load_whole=load.format("j", True),
                step_whole=step.format("full", ""),
                load_last=load.format("j", False),
                step_last=step.format("kept", forms.TILED_STEP_LAST),
            ),
        )
        for masked, full, load in (
            (forms.KEYS_MASKED, forms.KEYS_FULL, forms.LOAD),
            (forms.TILED_KEYS_MASKED, forms.TILED_KEYS_FULL, forms.TILED_LOAD),
        )
    )
    edges = KEY_EDGES.write(lengths, load_last=forms.LOAD.format("whole", False), step=step.format("kept", "keep, "))
    fan, keys, bounds = (lengths.write(form) for form in (kernel.FAN, forms.KEYS, forms.KEY_BOUNDS))
    way, mask, taken = lengths.write(forms.KEY_DIAGONALS), lengths.write(forms.KEY_MASK), forms.DIAGONAL_STEPS[kind]
    diagonals = Loops(*(way.format(mask=each, step=taken, fan="{fan}") for each in (mask, "")))
    written = Forms("I", "BLOCK_K", "kc", fan, keys, edges, bounds, plain, tiled, diagonals)
    sweeps = read_sweeps(statements, order.classes, written, end)
    return ReadKernel(integer(head, "tile"), order, sweeps, lengths.names, table)


def read_backward_key(function: ast.FunctionDef) -> ReadKernel:
    """A ``backward_key_k``. Whether it stores its gradients or adds to them is for the launch to say."""
    forms = of_keys
    pointers = "q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dk_ptr, dv_ptr, spans_ptr, owner_ptr"
    _check_signature(function, pointers, ("q", "k", "v", "do"))
    statements = Statements(function, function.body)
    order, head, lengths = statements.take_head(forms.KEY_HEAD, forms.TILED_KEY_HEAD)
    table = take_table(statements, "backward_key", order, lengths) if _has_table(function) else 0
    plain, tiled = (
        Loops(lengths.write(masked), lengths.write(full))
        for masked, full in (
            (forms.QUERIES_MASKED, forms.QUERIES_FULL),
            (forms.TILED_QUERIES_MASKED, forms.TILED_QUERIES_FULL),
        )
    )
    fan, queries, bounds = (lengths.write(form) for form in (kernel.FAN, forms.QUERIES, forms.QUERY_BOUNDS))
    way, mask = lengths.write(forms.QUERY_DIAGONALS), lengths.write(forms.QUERY_MASK)
    diagonals = Loops(*(way.format(mask=each, fan="{fan}") for each in (mask, "")))
    edges = QUERY_EDGES.write(lengths)
    written = Forms("J", "BLOCK_Q", "qc", fan, queries, edges, bounds, plain, tiled, diagonals)
    sweeps = read_sweeps(statements, order.classes, written, forms.KEY_END)
    return ReadKernel(integer(head, "tile"), order, sweeps, lengths.names, table)


def _has_table(function: ast.FunctionDef) -> bool:
    """Whether it takes lists of blocks."""
    return any(argument.arg == "blocks_ptr" for argument in function.args.args)


def _check_signature(function: ast.FunctionDef, pointers: str, tensors: tuple[str, ...]) -> None:
    pointers += f", {POINTERS}" if _has_table(function) else ""
    strides = ", ".join(f"{name}_{axis}" for name in tensors for axis in "bhnd")
    [wanted] = template(f"def f({kernel.PARAMETERS.format(pointers=pointers, strides=strides)}): pass")
    assert isinstance(wanted, ast.FunctionDef)
    decorators = [ast.unparse(item) for item in function.decorator_list]
    if decorators != [kernel.DECORATOR] or not same_arguments(wanted, function) or function.returns:
        raise refuse(function, "unexpected signature")
