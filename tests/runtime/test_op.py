"""The op boundary: torch's own checks of it, torch.compile, and the registry of programs."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import patternc as pc
from patternc.runtime import eager, op
from patternc.runtime.errors import ArgumentError


@pytest.fixture
def inputs():
    # Grouped heads, and none of the three contiguous: heads behind tokens, every other token, features apart.
    q = torch.randn(2, 9, 4, 8).transpose(1, 2).requires_grad_()
    k = torch.randn(2, 2, 18, 8)[:, :, ::2].requires_grad_()
    v = torch.randn(2, 2, 8, 9).mT.requires_grad_()
    return q, k, v


@pytest.fixture(params=["reference", "compose"])
def program(patterns, request):
    return pc.compile(patterns("window"), head_dim=8, engine=request.param)


@pytest.mark.parametrize("spans", [None, [[0, 9], [3, 9]]])
def test_opcheck(inputs, program, spans):
    spans = None if spans is None else torch.tensor(spans, dtype=torch.int32)
    torch.library.opcheck(torch.ops.patternc.attention, (*inputs, spans, None, program.key, 0.5, 0, None, None, True))


def test_opcheck_of_capped_documents(inputs, program):
    edges = torch.tensor([0, 4, 4, 9], dtype=torch.int32)
    one = tuple(x.detach()[:1].requires_grad_() for x in inputs)
    torch.library.opcheck(torch.ops.patternc.attention, (*one, None, edges, program.key, 0.5, 0, 5, 2.0, True))


@pytest.mark.parametrize("with_lse", [False, True])
def test_opcheck_backward(inputs, program, with_lse):
    q, k, v = (x.detach() for x in inputs)
    out, lse = torch.ops.patternc.attention(q, k, v, None, None, program.key, 0.5, 0, None, None, True)
    grad_lse = torch.randn_like(lse) if with_lse else None
    arguments = (torch.randn_like(out), grad_lse, q, k, v, out, lse, None, None, program.key, 0.5, 0, None, None, True)
    torch.library.opcheck(torch.ops.patternc.attention_backward, arguments)


def test_fullgraph_compile_forward_and_backward(inputs, program):
    torch.compiler.reset()

    def loss(q, k, v):
        out, lse = program(q * 2, k, v, return_lse=True)
        return (out.sin().sum() + lse.sum(),)

    eager = torch.autograd.grad(loss(*inputs), inputs)
    compiled = torch.autograd.grad(torch.compile(loss, fullgraph=True, backend="aot_eager")(*inputs), inputs)
    for mine, theirs in zip(compiled, eager, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("use", ["out", "lse"])
def test_gradient_of_one_output_alone(inputs, program, use):
    out, lse = program(*inputs, return_lse=True)
    gradients = torch.autograd.grad((out if use == "out" else lse).sum(), inputs, allow_unused=True)
    assert all(gradient.isfinite().all() for gradient in gradients)
    if use == "lse":
        assert (gradients[2] == 0).all()


def test_equal_programs_share_a_key_and_others_do_not(patterns):
    def key(name, **kwargs):
        return pc.compile(patterns(name), **{"head_dim": 8, "engine": "reference"} | kwargs).key

    assert key("window") == key("window")
    assert len({key(name) for name in ("dense", "window", "factorized", "both", "tail", "gaps")}) == 6
    assert len({key("factorized"), key("factorized", step=0), key("factorized", step=1)}) == 3


def test_a_colliding_key_is_an_error(monkeypatch, program):
    monkeypatch.setitem(op._REGISTRY, program.key, op.Registered(op._REGISTRY[program.key].engine, "another"))
    with pytest.raises(RuntimeError, match="two programs share the key"):
        op.register(program.engine, program.meaning if program.engine == "reference" else program.program)


def test_an_unknown_key_says_what_to_do(inputs):
    with pytest.raises(RuntimeError, match="compile the pattern here"):
        torch.ops.patternc.attention(*inputs, None, None, "reference:none", 1.0, 0, None, None, True)


@pytest.fixture
def operated(monkeypatch):
    """How often the operator was called."""
    calls = []
    operator = eager.attention
    monkeypatch.setattr(eager, "attention", lambda *arguments: calls.append(1) or operator(*arguments))
    return calls


@pytest.mark.parametrize("options", [{}, {"spans": [[0, 9], [3, 9]]}, {"softcap": 2.0, "scale": -0.7}])
def test_a_call_that_nobody_watches_is_the_operator_without_its_way(inputs, program, operated, options):
    options = dict(options)
    if "spans" in options:
        options["spans"] = torch.tensor(options["spans"], dtype=torch.int32)
    weight = torch.randn(2, 4, 9, 8)

    def run():
        out, lse = program(*inputs, return_lse=True, **options)
        loss = (out * weight).sum() + lse.masked_fill(lse == -torch.inf, 0.0).sum()
        return out, lse, *torch.autograd.grad(loss, inputs)

    plain = run()
    assert operated == []
    with FlopCounterMode(display=False):  # a mode that sees operators
        watched = run()
    assert operated == [1]
    for one, other in zip(plain, watched, strict=True):
        assert one.is_contiguous() and torch.equal(one, other)
    with torch.no_grad():
        assert torch.equal(program(*inputs, **options), plain[0])
    assert operated == [1]


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("watch", ["subclass", "transform", "trace"])
def test_who_must_see_the_operator_sees_it(inputs, program, operated, watch):
    class Labelled(torch.Tensor):
        pass

    q, k, v = (x.detach() for x in inputs)
    expected = program(q, k, v)
    if watch == "subclass":
        found = program(q.as_subclass(Labelled), k, v)
    elif watch == "transform":
        found = torch.func.functionalize(lambda q: program(q, k, v))(q)
    else:
        found = torch.jit.trace(lambda q: program(q, k, v), (q,), check_trace=False)(q)
    assert len(operated) >= 1
    assert torch.equal(torch.Tensor(found), expected)


@pytest.mark.parametrize("at", range(3))
def test_there_is_no_forward_mode(inputs, program, at):
    """A kernel does not see a tangent: it was lost in silence under triton, and in part under compose."""
    given = [x.detach() for x in inputs]
    with torch.autograd.forward_ad.dual_level(), torch.no_grad():
        assert program(*given).isfinite().all()
        given[at] = torch.autograd.forward_ad.make_dual(given[at], torch.ones_like(given[at]))
        with pytest.raises(ArgumentError, match=f"argument '{'qkv'[at]}': a dual tensor .*; use torch.autograd.grad"):
            program(*given)
        with FlopCounterMode(display=False), pytest.raises(ArgumentError, match="a dual tensor"):
            program(*given)
        torch.compiler.reset()
        with pytest.raises(ArgumentError, match="a dual tensor"):
            torch.compile(program.__call__, backend="aot_eager")(*given)


def test_numbers_of_a_call_may_change_under_a_whole_graph(inputs, program):
    torch.compiler.reset()

    def run(offset, number):
        return program(inputs[0][:, :, :3], *inputs[1:], query_offset=offset, scale=number, softcap=2 * number)

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    for offset in (0, 2, 5):
        torch.testing.assert_close(compiled(offset, 0.5 + offset), run(offset, 0.5 + offset))


def test_a_gradient_is_not_differentiated_again(inputs, program):
    [first] = torch.autograd.grad(program(*inputs).sum(), inputs[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        torch.autograd.grad(first.sum(), inputs[:1])


def test_spans_that_change_before_the_backward_pass_are_an_error(inputs, program):
    spans = torch.tensor([[0, 9], [3, 9]], dtype=torch.int32)
    out = program(*inputs, spans=spans)
    spans[0, 1] = 5
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


@pytest.mark.parametrize("options", [{}, {"softcap": 1.5}])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("engine", ["reference", "compose"])
def test_autocast_rounds_nothing(patterns, engine, dtype, options):
    """An engine computes in the data type that it was compiled for: autocast would make its products bfloat16."""
    compiled = pc.compile(patterns("factorized"), head_dim=8, dtype=dtype, engine=engine)
    leaves = [torch.randn(1, heads, 21, 8).to(dtype).requires_grad_() for heads in (4, 2, 2)]

    def run():
        out = compiled(*leaves, **options)
        return out, *torch.autograd.grad(out.float().square().sum(), leaves)

    plain = run()
    with torch.autocast("cpu", torch.bfloat16):
        cast = run()
    for one, other in zip(plain, cast, strict=True):
        assert torch.equal(one, other)


IN_ANOTHER_PROCESS = """
import pickle, sys, torch
program, q, k, v = pickle.load(sys.stdin.buffer)
sys.stdout.buffer.write(pickle.dumps(program(q, k, v)))
"""


@pytest.mark.parametrize("kind", ["alone", "table", "heads", "reference"])
def test_a_program_that_is_pickled_runs_in_another_process(patterns, kind):
    """As DataLoader's workers, ``torch.multiprocessing.spawn`` and a model that was saved whole need it."""
    drawn = pc.loads("pattern drawn() causal { step local(2) | random(1, 4, 7) }")["drawn"].bind()
    if kind == "heads":
        program = pc.compile_heads([([0, 3], patterns("window")), ([1], drawn)], heads=4, head_dim=8)
    else:
        engine = "reference" if kind == "reference" else "compose"
        program = pc.compile(drawn if kind == "table" else patterns("window"), head_dim=8, engine=engine)
    q, k, v = torch.randn(1, 4, 12, 8), torch.randn(1, 2, 12, 8), torch.randn(1, 2, 12, 8)
    run = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS],
        input=pickle.dumps((program, q, k, v)),
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    torch.testing.assert_close(pickle.loads(run.stdout), program(q, k, v))
