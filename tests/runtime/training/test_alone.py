"""Two runs are not kept in one file: the second is refused, until the first has ended, however it ended."""

from __future__ import annotations

import multiprocessing
import os

import pytest
import torch
from learned_models import attached

from patternc.runtime.errors import ArgumentError
from patternc.runtime.training import Recipe, train
from patternc.runtime.training.alone import alone, check_alone
from patternc.runtime.training.on_text import check_place

GOING_ON = r"training.pt is kept by a run that is still going on; wait for it"


def hold(file, ready, end):
    with alone(file):
        ready.set()
        end.wait(60)
        os._exit(1)  # as one that is killed: nothing is tidied up


@pytest.fixture
def other(tmp_path):
    """Another process that is kept in ``training.pt``, and how to end it."""
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path / "training.pt", ready, end))
    process.start()
    assert ready.wait(60)

    def stop():
        end.set()
        process.join(60)
        assert process.exitcode == 1

    yield stop
    end.set()
    process.join(60)


def test_a_second_run_is_refused_until_the_first_has_ended(other, tmp_path):
    file, batches = tmp_path / "training.pt", [torch.randint(3, 97, (1, 8))]
    _model, handle = attached("llama", "blocks")
    for resume in (False, True):
        with pytest.raises(ArgumentError, match=GOING_ON):
            check_place(tmp_path, resume=resume)
    with pytest.raises(ArgumentError, match=GOING_ON):
        train(handle, batches, Recipe(steps=1), checkpoint=file)
    other()
    check_place(tmp_path, resume=False)
    train(handle, batches, Recipe(steps=1), checkpoint=file)
    assert [path.name for path in tmp_path.iterdir()] == ["training.pt"]


def test_nothing_is_left_or_made(tmp_path):
    file = tmp_path / "run/training.pt"
    check_alone(file)
    assert not file.parent.exists()
    for _ in range(2):
        with alone(file):
            assert [path.name for path in file.parent.iterdir()] == ["training.pt.lock"]
        assert not [*file.parent.iterdir()]


def test_where_a_run_cannot_begin_is_known_before_there_is_a_model(tmp_path):
    check_place(tmp_path / "new", resume=False)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ArgumentError, match=r"training.pt is missing; leave resume \(--resume\) out"):
        check_place(tmp_path, resume=True)
    (tmp_path / "training.pt").touch()
    check_place(tmp_path, resume=True)
    with pytest.raises(ArgumentError, match=r"training.pt exists; pass resume=True \(--resume\)"):
        check_place(tmp_path, resume=False)
