"""patternc.compile_heads: several patterns in one call."""

from __future__ import annotations

import pytest
import torch

import patternc as pc
from patternc.runtime.errors import ArgumentError, EngineError

MODULE = pc.loads("""
pattern near causal { step local(5) }
pattern fixed causal { step block(8) | columns({ j : j mod 8 >= 6 }) }
pattern over cross { step { (i, j) : (i + j) mod 2 = 0 } }
""")
NEAR, FIXED, OVER = (MODULE[name].bind() for name in ("near", "fixed", "over"))
GROUPS = [((0, 3, 4), NEAR), ((1, 5), FIXED)]


def inputs(heads=6, key_heads=2, n=30):
    generator = torch.Generator().manual_seed(1)
    shapes = [(2, heads, n, 16), (2, key_heads, n, 16), (2, key_heads, n, 16)]
    return [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("engine", ["reference", "compose"])
def test_each_head_runs_its_pattern(engine):
    program, (q, k, v) = pc.compile_heads(GROUPS, head_dim=16, engine=engine), inputs()
    out, lse = program(q, k, v, return_lse=True)
    for heads, pattern in GROUPS:
        alone = pc.compile(pattern, head_dim=16, engine=engine)
        for head in heads:
            one = (q[:, [head]], k[:, [head // 3]], v[:, [head // 3]])
            wanted, wanted_lse = alone(*one, return_lse=True)
            torch.testing.assert_close(out[:, [head]], wanted)
            torch.testing.assert_close(lse[:, [head]], wanted_lse)
    assert bool((out[:, 2] == 0).all() and lse[:, 2].isneginf().all())


def test_gradients_are_those_of_the_reference():
    results = []
    for engine in ("reference", "compose"):
        program, tensors = pc.compile_heads(GROUPS, head_dim=16, engine=engine), inputs()
        results.append(torch.autograd.grad(program(*tensors).square().sum(), tensors))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_one_graph_under_torch_compile():
    program, tensors = pc.compile_heads(GROUPS, head_dim=16, engine="compose"), inputs()

    def step(q, k, v):
        return program(q * 2, k, v).sin()

    compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*tensors), step(*tensors))
    grads = [torch.autograd.grad(run(*tensors).sum(), tensors) for run in (compiled, step)]
    for mine, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_equal_patterns_are_one_part():
    program = pc.compile_heads([((0, 2), NEAR), ((1,), NEAR)], head_dim=16, engine="compose")
    assert len(program.parts) == 1
    assert program.owners == (0, 0, 0)


def test_another_data_type():
    program = pc.compile_heads(GROUPS, head_dim=16, engine="compose")
    low = program.with_dtype(torch.bfloat16)
    out = low(*(x.detach().bfloat16() for x in inputs()))
    assert out.dtype == torch.bfloat16
    assert program.with_dtype(torch.float32) is program
    with pytest.raises(ArgumentError, match="compiled for torch\\.float32"):
        program(*(x.detach().bfloat16() for x in inputs()))


def test_two_sequences():
    program = pc.compile_heads([((1,), OVER)], heads=2, head_dim=16, engine="compose")
    q, k, v = (torch.randn(1, 2, n, 16) for n in (7, 20, 20))
    out = program(q, k, v)
    torch.testing.assert_close(out[:, 1:], pc.compile(OVER, head_dim=16, engine="reference")(q, k, v)[:, 1:])
    with pytest.raises(EngineError, match="two sequences"):
        pc.compile_heads([((0,), OVER), ((1,), NEAR)], head_dim=16, engine="compose")


def test_heads_that_do_not_fit():
    with pytest.raises(ArgumentError, match="head 1 twice"):
        pc.compile_heads([((0, 1), NEAR), ((1,), FIXED)], engine="compose")
    with pytest.raises(ArgumentError, match=r"head 4; the heads are 0\.\.3"):
        pc.compile_heads([((4,), NEAR)], heads=4, engine="compose")
    for heads in (["x"], 3, [0.5]):
        with pytest.raises(ArgumentError, match=r"argument 'groups': heads .*; give pairs of head numbers"):
            pc.compile_heads([(heads, NEAR)], engine="compose")
    with pytest.raises(ArgumentError, match="head -1; heads count from 0"):
        pc.compile_heads([((-1,), NEAR)], engine="compose")
    with pytest.raises(ArgumentError, match="no group"):
        pc.compile_heads([], heads=4)
    program = pc.compile_heads(GROUPS, head_dim=16, engine="compose")
    with pytest.raises(ArgumentError, match=r"4 heads, but patterns for 6; compile_heads\(\.\.\., heads=4\)"):
        program(*inputs(heads=4))
