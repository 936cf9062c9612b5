"""What is said of a pattern: its kind, keys, cache and hops, against counting."""

from __future__ import annotations

import json

import numpy as np
import pytest

import patternc as pc
from patternc.compiler.explain import Account, explain
from patternc.compiler.explain.kind import Kind, together
from patternc.compiler.report import explanation
from patternc.compiler.report.palette import Paint
from patternc.patterns_dsl.syntax import Direction


def account(step: str, direction: str = "causal", n: int = 100, query: int | None = None) -> Account:
    learned = "learn hot = topk_blocks(k = 2, block = 4) learn some = importance()"
    return explain(pc.loads(f"pattern p {direction} {{ {learned} step {step} }}")["p"], n, query=query)


def test_the_card_of_the_course() -> None:
    """Xiao & Zhu: 1-based position 500 with {1, i, i-1, i-2} attends to 4 keys: sink(1) | window(3), row 499."""
    found = account("columns(first(1)) | local(3)", n=1024, query=499)
    assert found.keys == ((0, 0), (497, 499))
    assert found.most_keys.formula == "min(4, n)"
    assert "query 499 attends to 4 keys: 0, 497..499" in explanation.text(found, Paint(False))


@pytest.mark.parametrize(
    ("step", "kind", "kinds"),
    [
        ("local(3) | strided(2)", Kind.POSITIONAL, ["positional", "positional"]),
        ("self | random(2)", Kind.POSITIONAL, ["positional", "positional"]),
        ("gated local(3) | gated strided(2)", Kind.LEARNED_STATIC, ["learned-static", "learned-static"]),
        ("self | gated local(3)", Kind.LEARNED_STATIC, ["positional", "learned-static"]),
        ("select(hot)", Kind.CONTENT, ["content"]),
        ("columns(some) & local(9)", Kind.CONTENT, ["content"]),
        ("local(3) | columns(some)", Kind.HYBRID, ["positional", "content"]),
        ("gated select(hot) | gated self", Kind.HYBRID, ["content", "learned-static"]),
        ("local(3) & document(ids)", Kind.DATA, ["data"]),
    ],
)
def test_kinds(step: str, kind: Kind, kinds: list[str]) -> None:
    found = account(step)
    assert found.kind is kind
    assert [str(term.kind) for term in found.terms] == kinds


def test_kinds_together() -> None:
    assert together([Kind.HYBRID]) is Kind.HYBRID
    assert together([Kind.CONTENT, Kind.CONTENT]) is Kind.CONTENT
    assert together([]) is Kind.POSITIONAL


@pytest.mark.parametrize(
    ("step", "keys", "cache"),
    [
        ("local(7)", "min(7, n)", "min(7, n)"),
        ("columns(first(2)) | local(7)", "min(9, n)", "min(9, n)"),
        ("block(8) | fixed(8, 1)", "n div 8 + 7", "n div 8 + 7"),
        ("everything", "n", "n"),
    ],
)
def test_bounds_are_formulas(step: str, keys: str, cache: str) -> None:
    found = account(step, n=64)
    assert (found.most_keys.formula, found.cache and found.cache.formula) == (keys, cache)
    mask = pc.loads(f"pattern p causal {{ step {step} }}")["p"].mask(64).numpy()
    assert found.most_keys.at == mask.sum(axis=1).max()
    live = np.tril(np.logical_or.accumulate(mask[::-1], axis=0)[::-1])
    assert found.cache is not None and found.cache.at == live.sum(axis=1).max()


def test_where_the_cache_has_no_closed_form_it_is_counted() -> None:
    """strided(l) keeps n - l + 1 keys live (n = 512, l = 32: 481)."""
    found = account("local(32) | strided(32)", n=512)
    assert found.cache is not None and (found.cache.formula, found.cache.at, found.cache.exact) == ("n", 481, False)
    assert found.advice == ("`strided(32)` alone keeps old keys live: without it 32 suffice",)


def test_hops() -> None:
    found = account("local(3)", n=9).hops
    assert found is not None
    assert (found.proved, found.histogram, found.never, found.worst) == (None, (24, 11, 7, 3), 0, (7, 0, 4))
    assert sum(found.histogram) == 45
    never = account("strided(2)", n=9)
    assert never.hops is not None and (never.hops.never, never.hops.worst[2]) == (20, 0)
    assert never.advice[0] == "add `| local(2)` to every step: every token is then heard in 2 steps"
    fixed = pc.load("library:fixed_factorized")["fixed_factorized"].bind(l=8, c=1)
    found = explain(fixed, 64).hops
    assert found is not None and (found.proved, len(found.histogram)) == (2, 2)


@pytest.mark.parametrize(
    ("name", "options", "each", "lists", "least"),
    [
        ("dsa", {}, "2,048", "a query has its own list of 2,048", "262,144 on; with tile = 64 from n = 4,096 on"),
        ("dsa", {"k": 32}, "", "", ""),
        ("dsa_tiles", {}, "", "", ""),
        ("dsa_tiles", {"k": 4096}, "64", "64 queries share a list of 4,096", "8,192 on"),
    ],
)
def test_lists_that_few_queries_share_are_advised_against(
    name: str, options: dict[str, int], each: str, lists: str, least: str
) -> None:
    found = explain(pc.load("library:dsa")[name].bind(**options), 64)
    text = f"`indexer` gathers {each} keys for each query, since {lists}: fewer bytes than dense attention reads only"
    assert [line for line in found.advice if "gathers" in line] == ([f"{text} from n = {least}"] if each else [])
    assert ("  advice   `indexer` gathers" in explanation.text(found, Paint(False))) == bool(each)


def test_open_patterns_have_no_cost_yet() -> None:
    found = account("local(3) | select(hot)", n=40)
    assert found.cost is None and "a program cannot hold what `hot` decides" in found.no_cost
    assert found.pairs < found.possible


def test_a_seeded_table_costs_the_blocks_that_it_draws() -> None:
    found = account("local(3) | random(2, block = 16)", n=256).cost
    assert found is not None
    *_, share = found.shares
    assert (share.label, share.orders) == ("random(2, block = 16)", "blocks of 16 / a table")
    assert (share.full_tiles, share.kernel, found.table_bytes) == (1, found.kernels - 1, 4 * 2 * 16)
    assert account("random(2) | pooled(4)", n=40).cost is None


def test_orders_that_were_rejected_are_shown_with_their_tiles() -> None:
    """In natural order strided(128) touches the causal tiles, but for those one below the diagonal where they are no
    larger than 64; in residues it touches the triangle of each class."""
    found = account("strided(128)", n=16_384)
    assert found.cost is not None
    [search] = found.cost.searches
    assert (search.orders, search.length) == ("residue 128 / residue 128", 16_384)
    side = found.cost.tile.query
    blocks, own = 16_384 // side, 128 // side
    assert search.tiles == 128 * own * (own + 1) // 2
    natural = dict(search.rejected)["natural / natural"]
    assert blocks * (blocks - 1) // 2 < natural <= blocks * (blocks + 1) // 2
    assert [tiles for _, tiles in search.rejected] == sorted(tiles for _, tiles in search.rejected)
    shown = explanation.text(found, Paint(False))
    assert f"`strided(128)` residue 128 / residue 128 ({search.tiles:,} tiles at n = 16,384); rejected: " in shown
    assert f"natural / natural ({natural:,})" in shown


def test_a_seeded_table_alone_has_no_tile_to_choose() -> None:
    found = explanation.text(account("random(2, block = 16)", n=256), lambda words, *_: words)
    assert "blocks of 16 / a table" in found and "rejected" not in found


def test_a_cross_pattern_has_a_cost_and_neither_cache_nor_hops() -> None:
    cross = explain(pc.loads("pattern p cross { step columns(first(2)) }")["p"], 16)
    assert (cross.direction, cross.cache, cross.hops) == (Direction.CROSS, None, None)
    assert cross.cost is not None and cross.cost.tiles == cross.cost.dense_tiles == 1
    assert (cross.most_keys.formula, cross.most_keys.when) == ("2", "from 4096 on")


def test_keys_that_a_query_could_have() -> None:
    found = account("self | select(hot)", n=40, query=21)
    assert found.keys == ((0, 3), (20, 21))
    assert found.possible_keys == ((0, 21),)
    assert "and could attend to 22 keys: 0..21" in explanation.text(found, Paint(False))


def test_json_has_every_number() -> None:
    found = json.loads(explanation.as_json(account("local(3) | strided(4)", n=256)))
    assert found["version"] == 2
    assert found["kind"] == "positional"
    assert found["most_keys"]["formula"] and found["hops"]["proved"] == 3
    shares = found["cost"]["shares"]
    tiles, diagonals = (sum(share[name] for share in shares) for name in ("masked_tiles", "diagonals"))
    # Two tiles of queries, each at the distances 1 and 2: four times 128 pairs. The distance 0 is one of the strides.
    assert (tiles, diagonals, sum(share["full_tiles"] for share in shares)) == (4, 4, 0)
    assert found["cost"]["tiles"] == 4 + 1
    assert [term["kind"] for term in found["terms"]] == ["positional", "positional"]


@pytest.mark.parametrize(
    ("step", "direction", "n", "pairs"),
    [
        ("local(4)", "causal", 1_000_000, 4 * 1_000_000 - 6),
        ("local(4) | rows(first(1))", "bidirectional", 1_000_000, 7 * 1_000_000 - 12 + 1_000_000 - 4),
        ("strided(1000)", "causal", 100_000, 1000 * 100 * 101 // 2),
    ],
)
def test_pairs_of_long_sequences_are_counted(step: str, direction: str, n: int, pairs: int) -> None:
    found = account(step, direction, n)
    assert (found.pairs, found.possible, found.exact) == (pairs, pairs, True)


def test_pairs_of_a_table_are_sampled_beside_those_that_are_counted() -> None:
    """The row of a global token is half of these pairs, and no row of a sample."""
    found = account("random(2, 4) | rows(first(8))", "bidirectional", 5000)
    by_row = (2 * 4) * (5000 - 8) + 8 * 5000
    assert found.pairs == pytest.approx(by_row, rel=0.01)
    assert not found.exact
