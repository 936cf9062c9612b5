"""patternc bench: who takes part, that it is right before it is timed, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

import patternc as pc
from patternc.compiler.report.palette import Paint
from patternc.compiler.selection import UsageError
from patternc.runtime.bench import report, rivals, side_by_side
from patternc.runtime.bench.inputs import Inputs, forward
from patternc.runtime.bench.rivals import BOTH, FORWARD
from patternc.runtime.bench.side_by_side import Disagreement, Measured, Settings, SideBySide
from patternc.runtime.bench.spread import Spread

SETTINGS = Settings((33,), heads=2, head_dim=8, rounds=1)


def pattern(text: str = "pattern p causal { step local(3) | strided(5) }") -> pc.Pattern:
    return pc.loads(text)["p"].bind()


def run(subject: pc.Pattern, settings: Settings) -> SideBySide:
    return side_by_side.side_by_side(subject, settings, lambda _: None)


def test_everything_is_timed_and_predicted() -> None:
    found = run(pattern(), replace(SETTINGS, lengths=(33, 40), backward=True))
    assert [(row.n, row.direction, row.rival) for row in found.measured] == [
        (n, direction, "dense") for n in (33, 40) for direction in (FORWARD, BOTH)
    ]
    program = pc.compile(pattern(), head_dim=8, device="cpu")
    for row in found.measured:
        assert row.ours.count == row.other.count == row.ratio.count == 1
        assert row.ratio.median == pytest.approx(row.other.median / row.ours.median)
        expected = program.predict(row.n, heads=2)
        both = row.direction == BOTH
        assert row.predicted == expected.forward.chosen.seconds + both * expected.backward.chosen.seconds
        assert row.rival_predicted == expected.forward.dense + both * expected.backward.dense
        assert row.way is not None and expected.forward.chosen.name in row.way


def test_a_rival_that_fails_is_told_and_the_others_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(subject: pc.Pattern, inputs: Inputs) -> rivals.Rival:
        raise RuntimeError("no C++ compiler\nand many more lines")

    monkeypatch.setattr(rivals, "RIVALS", rivals.RIVALS)
    monkeypatch.setattr(side_by_side, "RIVALS", {**rivals.RIVALS, "flex": broken})
    found = run(pattern(), replace(SETTINGS, against=("flex", "dense")))
    assert [row.rival for row in found.measured] == ["dense"]
    assert found.missing == ("flex at n = 33: RuntimeError: no C++ compiler",)
    assert "did not run: flex at n = 33: RuntimeError: no C++ compiler" in report.text(found, Paint(False))


def test_a_rival_that_fails_without_a_word_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(subject: pc.Pattern, inputs: Inputs) -> rivals.Rival:
        raise NotImplementedError

    monkeypatch.setattr(side_by_side, "RIVALS", {**rivals.RIVALS, "flex": silent})
    found = run(pattern(), replace(SETTINGS, against=("flex", "dense")))
    assert [row.rival for row in found.measured] == ["dense"]
    assert found.missing == ("flex at n = 33: NotImplementedError: ",)


def test_a_pass_that_a_rival_lacks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def halfway(subject: pc.Pattern, inputs: Inputs) -> rivals.Rival:
        return replace(rivals.dense(subject, inputs), missing={BOTH: "it cannot"})

    monkeypatch.setattr(side_by_side, "RIVALS", {"flex": halfway})
    found = run(pattern(), replace(SETTINGS, lengths=(33, 40), against=("flex",), backward=True))
    assert {row.direction for row in found.measured} == {FORWARD}
    assert found.missing == ("flex: it cannot",)


def test_what_is_wrong_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    other = pc.compile(pattern("pattern p causal { step local(4) }"), head_dim=8, device="cpu")
    monkeypatch.setattr(side_by_side, "compile_pattern", lambda *a, **k: other)
    with pytest.raises(Disagreement, match=r"p at n = 33 is off by .*; nothing was timed"):
        run(pattern(), SETTINGS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"against": ()}, "no rival; choose of dense, flex"),
        ({"against": ("dense", "flex", "dense")}, "a rival is named twice in dense, flex, dense"),
        ({"against": ("dence",)}, "unknown rival 'dence'; choose of dense, flex"),
        ({"device": "cuda"}, "torch finds no CUDA or ROCm device here"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match=message):
        run(pattern(), replace(SETTINGS, **settings))


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_the_rivals_compute_what_they_say(direction: str) -> None:
    """FlexAttention, not compiled, with the mask that is made for it; and dense attention."""
    subject = pattern(f"pattern p {direction} {{ step {{ (i, j) : (i - j) mod 4 < 2 or j < 3 }} }}")
    inputs = Inputs.draw((1, 2, 150, 8), "cpu", torch.float32)
    with torch.compiler.set_stance("force_eager"):
        out = forward(rivals.flex(subject, inputs).attend, inputs)()
    keep = subject.mask(150)
    expected = torch.nn.functional.scaled_dot_product_attention(inputs.q, inputs.k, inputs.v, attn_mask=keep)
    torch.testing.assert_close(out, expected)
    every = torch.ones(150, 150, dtype=torch.bool)
    expected = torch.nn.functional.scaled_dot_product_attention(
        inputs.q, inputs.k, inputs.v, attn_mask=every.tril() if direction == "causal" else every
    )
    torch.testing.assert_close(forward(rivals.dense(subject, inputs).attend, inputs)(), expected)


def test_a_row_without_a_key_is_right() -> None:
    assert run(pattern("pattern p causal { step { (i, j) : j < i - 3 } }"), SETTINGS).measured


def comparison(ratio: float) -> SideBySide:
    ours, other, each = (Spread.of([value * x for x in (0.9, 1.0, 1.1)]) for value in (0.002, 0.002 * ratio, ratio))
    row = Measured(4096, FORWARD, "dense", ours, other, each, "strips", 0.0021, 0.0042)
    return SideBySide("p", "compose", "a machine", 2, 0.5, SETTINGS, (row,), ())


@pytest.mark.parametrize(("ratio", "said"), [(0.8, True), (0.96, False), (2.0, False)])
def test_losses_are_said(ratio: float, said: bool) -> None:
    text = report.text(comparison(ratio), Paint(False))
    assert ("slower than dense at n = 4,096, forward" in text) == said
    row = next(line for line in text.splitlines() if line.lstrip().startswith("4,096"))
    assert f"{ratio:.2f}" in row and "2 ms ±5%" in row and "2.1 ms" in row and "4.2 ms" in row


def test_json_holds_all_of_it() -> None:
    found = json.loads(report.as_json(comparison(2.0)))
    assert found["measured"][0]["ratio"]["median"] == pytest.approx(2.0)
    assert (found["machine"], found["threads"], found["settings"]["heads"]) == ("a machine", 2, 2)
