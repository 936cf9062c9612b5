"""patternc train and patternc freeze, with a tiny model and its tokenizer in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from patternc.cli import app

transformers = pytest.importorskip("transformers")

PATTERNS = """
pattern gates causal { step self | gated local(4) | gated strided(3) prove nonempty prove causal }
pattern blocks causal { learn b = topk_blocks(k = 3, block = 4) step local(3) | select(b) prove causal }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(WordLevel({f"w{i}": i for i in range(40)}, unk_token="w0"))
    tokenizer.pre_tokenizer = Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="w0").save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=40, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    (folder / "words.txt").write_text(" ".join(f"w{i * i % 39}" for i in range(16 * 12)), encoding="utf-8")
    (folder / "two.pat").write_text(PATTERNS, encoding="utf-8")
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def train(folder: Path, name: str, *more: str | Path) -> Result:
    return run(
        "train", "--model", folder, "--pattern", f"{folder / 'two.pat'}::{name}", "--text", folder / "words.txt",
        "-n", "16", *more,
    )  # fmt: skip


def test_train_freeze_and_check(folder: Path, tmp_path: Path) -> None:
    done = train(folder, "gates", "--steps", "12", "--density", "40%", "--rate", "0.3", "-o", tmp_path / "learned")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(tmp_path / "learned/report.json")
    assert "step 12 of 12: loss" in done.stderr and "frozen random, seed 0" in done.stderr
    report = json.loads((tmp_path / "learned/report.json").read_text())
    assert report["finished"] and len(report["steps"]) == 12 and report["recipe"]["density"] == 0.4
    names = [row["name"].split("(")[0] for row in report["controls"]]
    assert names == ["dense", "learned: gates", "frozen random, seed 0", "streaming"]
    done = run("freeze", tmp_path / "learned", "-o", tmp_path / "found.pat")
    assert done.exit_code == 0, done.output
    assert "rounded" not in done.stderr  # gates under a density are 0 or 1
    assert run("check", tmp_path / "found.pat").exit_code == 0


def test_a_run_goes_on(folder: Path, tmp_path: Path) -> None:
    early = train(folder, "blocks", "--steps", "4", "--resume", "-o", tmp_path / "whole")
    assert early.exit_code == 1 and "training.pt is missing; leave resume (--resume) out" in early.stderr
    whole = train(folder, "blocks", "--steps", "4", "-q", "-o", tmp_path / "whole")
    assert (
        whole.exit_code == 0 and "step" not in whole.stderr
    )  # bars of transformers: test_inspect.py, in a process apart
    assert train(folder, "blocks", "--steps", "4", "-o", tmp_path / "whole").exit_code == 1  # it is there already
    again = train(folder, "blocks", "--steps", "4", "--resume", "-o", tmp_path / "whole")
    assert again.exit_code == 0, again.output
    assert train(folder, "blocks", "--steps", "5", "--resume", "-o", tmp_path / "whole").exit_code == 1
    done = run("freeze", tmp_path / "whole", "-o", tmp_path / "found.pat")
    assert done.exit_code == 1 and "`b = topk_blocks` chooses from the input" in done.stderr


def test_what_cannot_begin_is_refused_before_a_model_is_loaded(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/training.pt").touch()
    (folder / "forced.pat").write_text("pattern p causal { learn b = topk_blocks(k = 2) step select(b) }")
    cases = [
        ([f"{folder / 'two.pat'}::blocks", "-o", tmp_path / "run"], "training.pt exists; pass resume=True (--resume)"),
        ([f"{folder / 'two.pat'}::blocks", "-o", tmp_path / "new", "--resume"], "training.pt is missing"),
        ([folder / "forced.pat", "-o", tmp_path / "new"], "`b` decides on nothing, since k = 2 and first and diagonal"),
    ]
    for arguments, words in cases:
        done = run("train", "--model", folder, "--text", folder / "words.txt", "-n", "16", "--pattern", *arguments)
        assert done.exit_code == 1 and words in done.stderr
        assert "loading the model" not in done.stderr


def test_a_model_that_was_trained_is_written_too(folder: Path, tmp_path: Path) -> None:
    done = train(folder, "blocks", "--steps", "2", "--mode", "joint", "-q", "-o", tmp_path / "both")
    assert done.exit_code == 0, done.output
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "both/model")
    import patternc as pc

    pc.load_attached(model, tmp_path / "both").verify()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--density", "much"], 2, "a share, as in 25%"),
        (["--density", "25%"], 1, "set k in the pattern instead"),
        (["--mode", "both"], 1, "choose one of distill"),
        (["-n", "160"], 1, "two windows or more"),
        (["-p", "k=3"], 1, "k"),
    ],
)
def test_what_does_not_fit(folder: Path, tmp_path: Path, options: list[str], code: int, words: str) -> None:
    done = train(folder, "blocks", "-o", tmp_path / "out", *options)
    assert done.exit_code == code, done.output
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_plan_that_cannot_be_written_is_said_before_it_is_made(tmp_path: Path) -> None:
    done = run("freeze", tmp_path / "nothing", "-o", tmp_path / "no/found.pat")
    assert (done.exit_code, done.stderr) == (2, f"error: {tmp_path / 'no'}: No such file or directory\n")


def test_an_output_that_can_be_no_folder_is_refused_before_training(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    done = train(folder, "gates", "--steps", "1", "-o", tmp_path / "taken")
    assert done.exit_code == 2
    assert "step 1" not in done.stderr
    assert done.stderr.endswith(f"error: {tmp_path / 'taken'}: Not a directory\n")
