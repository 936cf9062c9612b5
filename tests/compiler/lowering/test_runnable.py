"""What a refusal says to do instead."""

from __future__ import annotations

import pytest

import patternc as pc

PACKED, ROWS = "borders to the call, `documents=cu_seqlens`", "leave `document(ids)` out, and give each document a row"


def helps(text: str, **sizes: int) -> tuple[str, ...]:
    with pytest.raises(pc.PatternError) as refused:
        pc.compile(pc.loads(f"pattern p causal {{ {text} }}")["p"], **sizes)
    [found] = refused.value.diagnostics
    assert found.code == "P403" and "what `ids` decides" in found.message
    return found.help


def test_documents_are_given_to_the_call() -> None:
    [remedy] = helps("step local(4) & document(ids)")
    assert remedy.startswith("leave `document(ids)` out") and PACKED in remedy


@pytest.mark.parametrize("heads", [{}, {"heads": 2}])
def test_documents_beside_what_takes_none_are_rows(heads: dict[str, int]) -> None:
    learned = helps("learn hot = topk_blocks(k = 2) step local(4) & document(ids) | select(hot)", **heads)
    assert learned[0].startswith(ROWS) and ("compile(pattern, heads=...)" in learned[-1]) != bool(heads)
    if not heads:
        drawn = helps("step local(4) & document(ids) | random(2, 64)")
        assert len(drawn) == 1 and drawn[0].startswith(ROWS)


def test_documents_alone_learn_nothing() -> None:
    [remedy] = helps("step local(4) & document(ids)", heads=2)
    assert remedy.startswith(ROWS)
