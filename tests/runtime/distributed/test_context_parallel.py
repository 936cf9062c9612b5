"""A sequence divided among three processes: results and gradients of one, and no key is sent that nobody reads."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import assume, given, settings
from hypothesis import strategies as some

import patternc as pc
from patternc.compiler.relations.settle import opens
from patternc.runtime.distributed.context_parallel import exchange_of
from patternc.runtime.distributed.division import Division
from patternc.runtime.engines.engine import Meaning
from patternc.runtime.errors import ArgumentError, AttachError, EngineError
from patternc.testing import patterns as random_patterns

sys.path.insert(0, str(Path(__file__).parent))

from processes import NAMES, SIZES, SOURCE, TOKENS, compiled, in_model, inputs, places, with_a_window
from runtime_models import make

WORKER = Path(__file__).parent / "processes.py"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of three processes found."""
    store = tmp_path_factory.mktemp("group") / "store"
    processes = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(store)],
            env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "3", "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(3)
    ]
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert not any(process.returncode for process in processes), "\n".join(said)
    return [torch.load(f"{store}.{rank}") for rank in range(3)]


def attended(name):
    """The mask of each query head [4, N, N]."""
    module = pc.loads(SOURCE)
    own = ("window", "strided", "strided", "window") if name == "heads" else (name,) * 4
    return torch.stack([module[each].bind().mask(TOKENS) for each in own])


def dense(name):
    """out, lse and the gradients, by a softmax written out over the whole sequence."""
    (q, k, v, slope), sinks = inputs()
    mask = attended(name)
    q, k, v, sinks = (x.requires_grad_() for x in (q, k, v, sinks))
    keys, values = (x.repeat_interleave(2, 1) for x in (k, v))
    scores = 20.0 * torch.tanh(0.3 * (q @ keys.transpose(2, 3)) / 20.0)
    scores = scores.masked_fill(~mask, -torch.inf)
    lse = torch.logaddexp(scores.logsumexp(-1), sinks[:, None])
    out = (scores - lse[..., None]).exp() @ values
    ((out * slope).sum() + lse.sum()).backward()
    return out.detach(), lse.detach(), [x.grad for x in (q, k, v)], sinks.grad


def joined(parts, sizes, zigzag, dim):
    """What processes have of their tokens, in the order of the sequence."""
    where = torch.cat([places(sizes, rank, zigzag) for rank in range(3)])
    return torch.cat(parts, dim).index_select(dim, where.argsort())


@pytest.mark.parametrize("zigzag", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_results_and_gradients_are_those_of_the_whole_sequence(found, name, sizes, zigzag):
    parts = [each["calls"][name, sizes, zigzag] for each in found]
    out, lse, slopes, sinks = dense(name)
    close = {"rtol": 1e-9, "atol": 1e-9}

    def whole(each):
        return joined([each(part) for part in parts], sizes, zigzag, 2)

    torch.testing.assert_close(whole(lambda part: part["out"]), out, **close)
    torch.testing.assert_close(whole(lambda part: part["lse"]), lse, rtol=1e-5, atol=1e-5, check_dtype=False)
    for at, slope in enumerate(slopes):
        torch.testing.assert_close(whole(lambda part, at=at: part["slopes"][at]), slope, **close)
    torch.testing.assert_close(sum(part["sinks"] for part in parts), sinks, **close)


@pytest.mark.parametrize("zigzag", [False, True])
def test_a_model_whose_text_is_divided_has_the_logits_and_gradients_of_the_whole(found, zigzag):
    whole, parts = in_model(None, slice(None)), [each["model"][zigzag] for each in found]
    torch.testing.assert_close(joined([part["logits"] for part in parts], SIZES[0], zigzag, 1), whole["logits"])
    for at, slope in enumerate(whole["slopes"]):
        torch.testing.assert_close(sum(part["slopes"][at] for part in parts), slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("zigzag", [False, True])
def test_a_model_with_a_window_of_its_own_and_a_mask_of_ones(found, zigzag):
    whole = joined([each["window"][zigzag] for each in found], SIZES[0], zigzag, 1)
    torch.testing.assert_close(whole, with_a_window(None, slice(None)))


@pytest.mark.parametrize("zigzag", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", ["window", "factorized", "strided", "around", "tail", "gaps"])
def test_a_process_is_sent_exactly_what_its_queries_read(name, sizes, zigzag):
    parts = compiled(name)
    mask = attended(name)[0].numpy()
    division = Division.of(sizes, zigzag=zigzag)
    exchanges = [exchange_of((parts.meaning,), division, rank) for rank in range(3)]
    for rank, exchange in enumerate(exchanges):
        own = places(sizes, rank, zigzag)
        assert sorted(torch.cat(exchange.receive).tolist()) == np.flatnonzero(mask[own.numpy()].any(0)).tolist()
        for other, sent in enumerate(exchange.send):
            assert own[sent].tolist() == exchanges[other].receive[rank].tolist()


@pytest.mark.parametrize("zigzag", [False, True])
@pytest.mark.parametrize("total", [0, 1, 5, 12, 100])
@pytest.mark.parametrize("processes", [1, 3, 4])
def test_an_even_division_has_each_token_once_in_equal_numbers(total, processes, zigzag):
    division = Division.even(total, processes, zigzag=zigzag)
    every = [division.places(rank).tolist() for rank in range(processes)]
    assert sorted(chain(*every)) == list(range(total)) and all(own == sorted(own) for own in every)
    sizes = [len(own) for own in every]
    assert max(sizes) - min(sizes) <= (2 if zigzag else 1)
    assert Division.of(sizes, zigzag=zigzag) == division
    if zigzag and total % (2 * processes) == 0:  # as many before the middle as behind it, and as far from it
        assert len({sum(own) for own in every}) == 1


def test_places_here(found):
    for zigzag, runs in ((False, [(0, 34), (34, 67), (67, 100)]), (True, [(0, 17), (17, 34), (34, 51)])):
        for rank, run in enumerate(runs):
            assert found[rank]["here"][zigzag][: run[1] - run[0]].tolist() == list(range(*run))
    assert torch.cat([each["here"][True] for each in found]).sort().values.tolist() == list(range(TOKENS))


@settings(max_examples=40)
@given(random_patterns(direction="bidirectional"), some.integers(0, 20), some.integers(0, 20))
def test_of_any_pattern_no_key_is_missing(pattern, first, second):
    assume(not opens(pattern.bound.union))
    sizes = (first, second, 5)
    mask = pattern.mask(sum(sizes)).numpy()
    meaning = Meaning(pattern.bound.union, pattern.bound.direction)
    for rank, size in enumerate(sizes):
        begin = sum(sizes[:rank])
        received = torch.cat(exchange_of((meaning,), Division.of(sizes, zigzag=False), rank).receive).tolist()
        assert set(np.flatnonzero(mask[begin : begin + size].any(0))) <= set(received)


def test_calls_that_are_not_alike_are_refused_by_all(found):
    for rank in range(3):
        assert "differ in their batch" in found[rank]["refused"]["batch"]
        assert "differ in their pattern" in found[rank]["refused"]["pattern"]
        assert "differ in their need of a gradient" in found[rank]["refused"]["gradient"]
        assert "differ in their order" in found[rank]["refused"]["order"]
        assert "process 1 has 10 tokens from 0 on, and 10 stand before them" in found[rank]["refused"]["positions"]
        assert "process 0 has 5 tokens from 5 on, and 25 stand before them" in found[rank]["refused"]["runs"]
        assert "documents" in found[rank]["refused"]["documents"]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("dimensions", "four dimensions"),
        ("dtype", "compiled for torch.float64"),
        ("width", "head_dim 4"),
        ("offset", "query_offset"),
        ("scale", "pass a number"),
        ("finite", "pass a finite number"),
        ("hole", "attention_mask has a hole"),
        ("weights", "output_attentions=True is not implemented"),
        ("sinks", "one logit for each query head"),
    ],
)
def test_a_call_that_is_wrong_in_one_process_is_refused_by_all(found, what, said):
    mine, *others = (found[rank]["refused"][what] for rank in (1, 0, 2))
    assert said in mine
    assert all("process 1 refuses its own arguments" in other for other in others)


def test_a_group_of_some_of_the_processes(found):
    first, second, other = (each["some"] for each in found)
    assert first == second == "(1, 2, 10, 16)"
    assert "not in the group" in other


class TestRefused:
    @pytest.fixture
    def alone(self, tmp_path):
        dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
        yield pc.context_parallel(compiled("window"))
        dist.destroy_process_group()

    def test_without_a_group(self):
        with pytest.raises(EngineError, match="init_process_group"):
            pc.context_parallel(compiled("window"))

    def test_what_is_not_one_sequence(self, alone):
        cross = pc.loads("pattern c cross { step { (i, j) : j <= i } }")["c"].bind()
        with pytest.raises(EngineError, match="between two sequences"):
            pc.context_parallel(pc.compile(cross, head_dim=16))
        with pytest.raises(EngineError, match="learns nothing"):
            pc.context_parallel(torch.nn.Identity())

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"query_offset": 3}, "query_offset"),
            ({"spans": torch.tensor([[0, 5]])}, "padding"),
            ({"sizes": [9]}, "1 processes, of which number 0 has 10 tokens"),
            ({"sizes": [5, 5]}, "sizes"),
            ({"sizes": 10}, "sizes"),
        ],
    )
    def test_what_a_call_cannot_ask_for(self, alone, options, match):
        x = torch.randn(1, 2, 10, 16, dtype=torch.float64)
        with pytest.raises(ArgumentError, match=match):
            alone(x, x, x, **options)

    def test_more_keys_than_queries(self, alone):
        x = torch.randn(1, 2, 10, 16, dtype=torch.float64)
        with pytest.raises(ArgumentError, match="both of its own"):
            alone(x[:, :, :4], x, x)

    @pytest.mark.parametrize(
        ("body", "match"),
        [("layers 0..1: window", "own attention"), ("layers all heads 0..3: window", "own attention")],
    )
    def test_models_of_which_a_part_is_dense(self, alone, body, match):
        plan = pc.loads(f"{SOURCE} plan p {{ {body} }}").plans["p"]
        with pytest.raises(AttachError, match=match):
            pc.attach(make("llama"), plan, group=dist.group.WORLD)

    def test_models_that_learn_pad_or_decode(self, alone):
        learned = pc.loads("pattern p causal { learn s = importance() step self | columns(s) }")["p"].bind()
        model, tokens = make("llama"), torch.randint(3, 97, (1, 12))
        with pytest.raises(AttachError, match="'p' learns"):
            pc.attach(model, learned, group=dist.group.WORLD)
        with torch.no_grad(), pc.attach(model, pc.loads(SOURCE)["window"].bind(), group=dist.group.WORLD) as handle:
            with pytest.raises(ArgumentError, match="without padding"):
                model(tokens, attention_mask=torch.tensor([[0] + [1] * 11]))
            with pytest.raises(ArgumentError, match="cache"):
                model.generate(tokens, max_new_tokens=2)
            with pytest.raises(AttachError, match="fills no cache"):
                handle.cache()

    @pytest.mark.parametrize("zigzag", ["no", 1, None])
    def test_an_order_that_is_none(self, alone, zigzag):
        with pytest.raises(ArgumentError, match="zigzag"):
            pc.context_parallel(compiled("window"), zigzag=zigzag)
        with pytest.raises(ArgumentError, match="zigzag"):
            pc.places_here(10, zigzag=zigzag)

    def test_a_group_that_is_none(self, alone):
        with pytest.raises(EngineError, match="a group that is a str"):
            pc.context_parallel(compiled("window"), "gloo")
        with pytest.raises(EngineError, match="a group that is a str"):
            pc.places_here(10, "gloo")

    def test_an_order_of_no_group_and_no_number_of_tokens(self, alone):
        with pytest.raises(AttachError, match="group="):
            pc.attach(make("llama"), pc.loads(SOURCE)["window"].bind(), zigzag=True)
        with pytest.raises(ArgumentError, match="total"):
            pc.places_here(-1)

    def test_one_process_is_the_program_itself(self, alone):
        x = torch.randn(1, 2, 10, 16, dtype=torch.float64)
        assert torch.equal(alone(x, x, x), compiled("window")(x, x, x))
