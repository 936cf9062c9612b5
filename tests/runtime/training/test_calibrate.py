"""A budget that is held on texts by one number."""

from __future__ import annotations

import pytest
import torch
from learned_models import attached

from patternc.runtime.errors import ArgumentError
from patternc.runtime.training import calibrate


def read(handle, batches):
    with torch.no_grad():
        found = []
        for batch in batches:
            with handle.watch() as seen:
                handle.model(**batch)
            found += [float(one.selections["a"].density.mean()) for one in seen.values()]
    return sum(found) / len(found)


@pytest.mark.parametrize("start", [-5.0, 0.0, 5.0])
def test_what_is_read_is_the_budget_and_the_order_of_tokens_stays(start):
    _model, handle = attached("bert", "both")
    batches = [{"input_ids": torch.randint(3, 97, (4, 24))} for _ in range(4)]
    scorers = [layer.learned.selectors["a"].scorer for layer in handle.learned.values()]
    with torch.no_grad():
        for scorer in scorers:
            scorer.columns.weight.normal_()
            scorer.rows.weight.normal_()
            scorer.columns.bias += start
    before = [scorer.columns.bias - scorer.rows.bias for scorer in scorers]
    assert abs(read(handle, batches) - 0.3) > 0.05
    told = calibrate(handle, [batches[0]["input_ids"], *batches[1:]])  # tokens alone are a batch too
    assert told == pytest.approx(read(handle, batches)) == pytest.approx(0.3, abs=0.02)
    after = [scorer.columns.bias - scorer.rows.bias for scorer in scorers]
    torch.testing.assert_close(after, before)  # one number for all


def test_what_has_no_free_number_is_refused():
    _model, handle = attached("llama", "blocks")
    with pytest.raises(ArgumentError, match="importance"):
        calibrate(handle, [{"input_ids": torch.randint(3, 97, (1, 16))}])
    _model, handle = attached("llama", "axis")
    with pytest.raises(ArgumentError, match="no batch"):
        calibrate(handle, [])
