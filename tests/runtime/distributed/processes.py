"""One process of a group of three, for the tests of context parallelism: what it computes goes to a file.

RANK=0 WORLD_SIZE=3 python processes.py STORE
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import torch
import torch.distributed as dist

sys.path.insert(0, str(Path(__file__).parent.parent))

from runtime_models import make

import patternc as pc
from patternc.runtime.errors import ArgumentError, EngineError, UnsupportedCallError

SOURCE = """
pattern window causal { step local(9) }
pattern factorized causal { step block(16) step { (i, j) : j mod 16 >= 13 } | self }
pattern strided causal { step local(4) step { (i, j) : (i - j) mod 11 = 0 } }
pattern around bidirectional { step local(5) | global(first(2)) }
pattern tail causal { step { (i, j) : j >= n - 30 or i = j } }
pattern table causal { step local(8) | random(2, 8, 3) }
pattern gaps causal { step { (i, j) : j mod 40 = 39 } }
"""
NAMES = ("window", "factorized", "strided", "around", "tail", "table", "gaps", "heads")
SIZES = ((40, 23, 37), (0, 64, 36), (99, 0, 1))
TOKENS = 100
RUNS = {
    (40, 23, 37): [[(0, 20), (80, 100)], [(20, 32), (69, 80)], [(32, 51), (51, 69)]],
    (0, 64, 36): [[], [(0, 32), (68, 100)], [(32, 50), (50, 68)]],
    (99, 0, 1): [[(0, 50), (51, 100)], [], [(50, 51)]],
}
"""Of each process, where its tokens are in two runs: what ``zigzag`` must mean."""


def places(sizes, rank, zigzag):
    """Of the tokens of a process."""
    runs = RUNS[sizes][rank] if zigzag else [(sum(sizes[:rank]), sum(sizes[: rank + 1]))]
    return torch.tensor([place for run in runs for place in range(*run)], dtype=torch.int64)


def compiled(name):
    module = pc.loads(SOURCE)
    if name == "heads":
        groups = [([0, 3], module["window"].bind()), ([1, 2], module["strided"].bind())]
        return pc.compile_heads(groups, head_dim=16, dtype=torch.float64)
    return pc.compile(module[name].bind(), head_dim=16, dtype=torch.float64)


def inputs():
    """q, k, v and the gradient of out, of the whole sequence; logits of sinks."""
    generator = torch.Generator().manual_seed(5)
    shapes = [(2, 4, TOKENS, 16), *[(2, 2, TOKENS, 16)] * 2, (2, 4, TOKENS, 16)]
    made = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return made, torch.randn(4, generator=generator, dtype=torch.float64)


def run(name, sizes, zigzag, rank):
    (q, k, v, slope), sinks = inputs()
    own = places(sizes, rank, zigzag)
    mine = [x[:, :, own].clone().requires_grad_() for x in (q, k, v)]
    sinks.requires_grad_()
    parallel = pc.context_parallel(compiled(name), zigzag=zigzag)
    known = {"sizes": sizes} if name == "window" else {}
    out, lse = parallel(*mine, sinks=sinks, scale=0.3, softcap=20.0, return_lse=True, **known)
    ((out * slope[:, :, own]).sum() + lse.sum()).backward()
    return {"out": out.detach(), "lse": lse.detach(), "slopes": [x.grad for x in mine], "sinks": sinks.grad}


PLAN = """
plan p {
    layers 0: window
    layers 1 heads 0..2: factorized
    layers 1 heads 3..5: strided
    layers 2: tail
}
"""


def with_a_window(group, own, zigzag=False):
    """Logits of a model with a window of its own, which is told that all tokens are real."""
    model = make("mistral", sliding_window=16).double()
    tokens = torch.randint(3, 97, (2, TOKENS), generator=torch.Generator().manual_seed(1))[:, own]
    pc.attach(model, pc.loads(SOURCE)["window"].bind(), group=group, zigzag=zigzag)
    told = {"attention_mask": torch.ones_like(tokens), "position_ids": torch.arange(TOKENS)[None, own]}
    return model(tokens, use_cache=False, **told).logits.detach()


def in_model(group, own, zigzag=False):
    """Logits and gradients of a model that reads these of all tokens, attached to a plan."""
    model = make("llama").double()
    tokens = torch.randint(3, 97, (2, TOKENS), generator=torch.Generator().manual_seed(1))
    pc.attach(model, pc.loads(SOURCE + PLAN).plans["p"], group=group, zigzag=zigzag)
    positions = torch.arange(TOKENS)[None, own]
    logits = model(tokens[:, own], position_ids=positions, use_cache=False).logits
    logits.square().sum().backward()
    return {"logits": logits.detach(), "slopes": [parameter.grad for parameter in model.parameters()]}


def refused(rank):
    """What each process says of calls that are not alike, or wrong in one, and that the group goes on afterwards."""
    parallel, found = pc.context_parallel(compiled("window")), {}
    whole, odd = torch.randn(1, 2, 10, 16, dtype=torch.float64), rank == 1
    learning = whole.clone().requires_grad_()
    tokens, mine, model = torch.full((1, 10), 5), torch.arange(10)[None] + 10 * rank, make("llama")
    pc.attach(model, pc.loads(SOURCE)["window"].bind(), group=dist.group.WORLD)
    folded = make("llama")
    pc.attach(folded, pc.loads(SOURCE)["window"].bind(), group=dist.group.WORLD, zigzag=True)
    hole = torch.ones_like(tokens)
    hole[:, 4] = 1 - odd
    here = pc.places_here(30, zigzag=True)[None]
    calls = {
        "batch": lambda: parallel(*[whole.expand(1 + rank // 2, -1, -1, -1)] * 3),
        "pattern": lambda: pc.context_parallel(compiled("strided" if rank else "window"))(*[whole] * 3),
        "gradient": lambda: parallel(whole, whole if odd else learning, whole),
        "dimensions": lambda: parallel(whole[0] if odd else whole, whole, whole),
        "dtype": lambda: parallel(whole, whole.float() if odd else whole, whole),
        "width": lambda: parallel(whole, whole, whole[..., :4] if odd else whole),
        "offset": lambda: parallel(*[whole] * 3, query_offset=3 if odd else 0),
        "scale": lambda: parallel(*[whole] * 3, scale="1" if odd else 1.0),
        "finite": lambda: parallel(*[whole] * 3, scale=torch.inf if odd else 1.0),
        "sinks": lambda: parallel(*[whole] * 3, sinks=torch.zeros(3 if odd else 2)),
        "order": lambda: pc.context_parallel(compiled("window"), zigzag=odd)(*[whole] * 3),
        "positions": lambda: model(tokens, use_cache=False),
        "runs": lambda: folded(tokens, position_ids=mine, use_cache=False),
        "hole": lambda: folded(tokens, attention_mask=hole, position_ids=here, use_cache=False),
        "weights": lambda: folded(tokens, position_ids=here, use_cache=False, output_attentions=odd),
        "documents": lambda: model(tokens, position_ids=mine + 40 * (mine > 10 * rank + 4), use_cache=False),
    }
    for what, call in calls.items():
        try:
            call()
        except (ArgumentError, UnsupportedCallError) as error:
            found[what] = str(error)
    parallel(*[whole] * 3)
    return found


def in_some():
    """What each process says of a group of the first two, and of its places there."""
    group = dist.new_group([0, 1])
    x = torch.randn(1, 2, 10, 16, dtype=torch.float64)
    try:
        return str(tuple(pc.context_parallel(compiled("window"), group)(x, x, x).shape))
    except EngineError as error:
        with suppress(EngineError):
            pc.places_here(10, group)
            return "has places"
        return str(error)


def main(store: str) -> None:
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    orders = (False, True)
    found = {
        (name, sizes, zigzag): run(name, sizes, zigzag, rank)
        for name in NAMES for sizes in SIZES for zigzag in orders
    }  # fmt: skip
    model = {zigzag: in_model(dist.group.WORLD, places(SIZES[0], rank, zigzag), zigzag) for zigzag in orders}
    here = {zigzag: pc.places_here(TOKENS, zigzag=zigzag) for zigzag in orders}
    window = {z: with_a_window(dist.group.WORLD, places(SIZES[0], rank, z), z) for z in orders}
    torch.save(
        {"calls": found, "model": model, "window": window, "refused": refused(rank), "some": in_some(), "here": here},
        f"{store}.{rank}",
    )
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
