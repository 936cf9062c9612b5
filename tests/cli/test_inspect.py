"""patternc inspect and patternc eval on learned patterns and saved attachments, in a tiny model with a tokenizer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

import patternc as pc
from patternc.cli import app
from patternc.runtime.comparison import load_model

transformers = pytest.importorskip("transformers")

TEXT = """
pattern axis(w: int = 3) causal {
    learn a = importance(budget = 30%)
    step local(w) | columns(a)
    prove causal
    prove reach in 1 step
}
pattern free causal { learn a = importance(budget = 30%) step local(2) | columns(a) }
pattern near causal { step local(2) }
plan some { layers 0 : axis(w = 2) layers 1 : dense }
"""
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "away", "from", "it"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model/, x.pat, text.txt, and run/, a saved attachment with a seed of its own."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    place = tmp_path_factory.mktemp("inspect")
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(["?", *WORDS])}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?").save_pretrained(place / "model")
    config = transformers.LlamaConfig(
        vocab_size=len(WORDS) + 1, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.LlamaForCausalLM(config).save_pretrained(place / "model")
        (place / "x.pat").write_text(TEXT, encoding="utf-8")
        (place / "text.txt").write_text(" ".join(WORDS * 2), encoding="utf-8")
        model, _ = load_model(str(place / "model"))
        torch.manual_seed(5)
        pc.attach(model, pc.load(place / "x.pat")["axis"].bind(w=4)).save(place / "run")
    return place


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def inspect(folder: Path, subject: str | Path, *more: str | Path) -> Result:
    return run("inspect", subject, "--model", folder / "model", "--text", folder / "text.txt", *more)


def test_a_saved_attachment_is_inspected(folder: Path) -> None:
    done = inspect(folder, folder / "run", "-n", "20")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f"axis(w = 4), saved in {folder / 'run'} over 20 tokens\n")
    assert "    PROVED   causal\n    REFUTED  reach in 1 step: 0 reaches 3 at step 1" in done.stdout
    assert "(reachable only through learned selections)" in done.stdout
    assert "    possible     100.00% of the pairs are connected, the last after 1 layers" in done.stdout
    assert inspect(folder, folder / "run", "-n", "20").stdout == done.stdout


def test_a_pattern_a_plan_and_the_pictures(folder: Path, tmp_path: Path) -> None:
    whole = inspect(folder, f"{folder / 'x.pat'}::axis", "-p", "w=2", "-n", "9", "-o", tmp_path / "x.json", "-q")
    assert whole.exit_code == 0, whole.stderr
    data = json.loads((tmp_path / "x.json").read_text())
    assert data["subject"] == "axis(w = 2), untrained" and data["tokens"] == WORDS[:9]
    assert [layer["layer"] for layer in data["layers"]] == [0, 1]
    plan = inspect(folder, f"{folder / 'x.pat'}::some", "-o", tmp_path / "x.html")
    assert plan.exit_code == 0 and plan.stderr.endswith(f"wrote {tmp_path / 'x.html'}\n")
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "<h2>Layer 0: axis</h2>" in page and "<h2>Layer 1" not in page and ">fox</span>" in page
    assert inspect(folder, folder / "run", "--layer", "1", "-o", tmp_path / "x.png").exit_code == 0
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_inspected(folder: Path, tmp_path: Path) -> None:
    refusals = {
        (folder / "run", "-o", "x.gif"): (2, "x.gif: what is inspected is written as .html, .png, .json"),
        (folder / "run", "-p", "w=3"): (2, "leave -p out"),
        (folder / "model",): (1, "patternc.json is missing: this is not the folder of a saved attachment"),
        (f"{folder / 'x.pat'}::near",): (1, "near has no learned terms"),
        (f"{folder / 'x.pat'}::none",): (2, "has no pattern or plan 'none'"),
        (folder / "run", "--layer", "7"): (1, "layer 7 learns nothing"),
        (folder / "missing.pat",): (2, "missing.pat"),
    }
    for arguments, (code, words) in refusals.items():
        done = inspect(folder, *arguments)
        assert (done.exit_code, words in done.stderr) == (code, True), (arguments, done.stderr)
    (tmp_path / "empty.txt").write_text("fox")
    done = run("inspect", folder / "run", "--model", folder / "model", "--text", tmp_path / "empty.txt")
    assert done.exit_code == 2 and "has 1 tokens: nothing can be chosen" in done.stderr


def test_eval_of_a_saved_attachment(folder: Path) -> None:
    common = ["--model", folder / "model", "--text", folder / "text.txt", "-n", "14", "--output-format", "json"]
    done = run("eval", "--pattern", folder / "run", *common)
    assert done.exit_code == 0, done.stderr
    _, saved = json.loads(done.stdout)["rows"]
    assert saved["name"] == f"axis(w = 4), saved in {folder / 'run'}"
    model, tokenizer = load_model(str(folder / "model"))
    pc.load_attached(model, folder / "run")
    ids = torch.tensor(tokenizer(" ".join(WORDS), add_special_tokens=False)["input_ids"])[None]
    with torch.no_grad():
        loss = model(ids, labels=ids, use_cache=False).loss
    assert saved["perplexity"] == pytest.approx(float(loss.exp()), rel=1e-4)  # both windows are the same words
    plan = run("eval", "--pattern", f"{folder / 'x.pat'}::some", *common)
    assert [row["name"] for row in json.loads(plan.stdout)["rows"]][1] == "plan some, untrained"
    pattern = [run("eval", "--pattern", f"{folder / 'x.pat'}::axis", *common) for _ in range(2)]
    first, second = (json.loads(done.stdout)["rows"][1]["perplexity"] for done in pattern)
    assert first == second  # what is not saved begins the same each time


def test_commands_that_run_no_model_say_so(folder: Path, tmp_path: Path) -> None:
    done = run("compile", f"{folder / 'x.pat'}::free", "-o", tmp_path)
    assert done.exit_code == 1 and "what a layer learns runs in a layer" in done.stderr
    done = run("verify", f"{folder / 'x.pat'}::free", "--examples", "1", "-q")
    assert done.exit_code == 0


def test_what_is_no_model_is_said_in_a_line(folder: Path, tmp_path: Path) -> None:
    start = ("eval", "--pattern", f"{folder / 'x.pat'}::near", "--text", folder / "text.txt", "--model", tmp_path)
    empty = run(*start)
    for file in (folder / "model").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    for done in (empty, run(*start)):
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"error: {tmp_path} holds no model that transformers reads: " in done.stderr


def test_a_text_that_is_not_utf8_is_named(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "latin.txt"
    text.write_bytes("the caf\xe9".encode("latin-1"))
    done = run("eval", "--pattern", f"{folder / 'x.pat'}::near", "--text", text, "--model", folder / "model")
    assert done.exit_code == 2
    assert done.stderr == f"error: {text}: byte 0xe9 at 7 is not UTF-8; save the text as UTF-8\n"


def test_more_tokens_than_positions_were_learned(folder: Path, tmp_path: Path) -> None:
    config = transformers.GPT2Config(
        vocab_size=len(WORDS) + 1, n_embd=16, n_layer=1, n_head=2, n_positions=8, bos_token_id=0, eos_token_id=0
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    transformers.AutoTokenizer.from_pretrained(folder / "model").save_pretrained(tmp_path)
    start = ("eval", "--pattern", f"{folder / 'x.pat'}::near", "--text", folder / "text.txt", "--model", tmp_path)
    done = run(*start)
    assert done.exit_code == 2
    assert "error: -n 28: the model has learned positions for 8 tokens; give at most that" in done.stderr
    assert run(*start, "-n", "8").exit_code == 0


def apart(prelude: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own, which has imported nothing."""
    program = f"{prelude}; from patternc.cli import main; main()"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("command", "package"),
    [("inspect", "transformers"), ("eval", "safetensors"), ("train", "transformers"), ("freeze", "safetensors")],
)
def test_what_is_not_installed_is_said(command: str, package: str, tmp_path: Path) -> None:
    named = {"inspect": ["x.pat"], "freeze": ["run", "-o", "x.pat"]}.get(command, ["--pattern", "x.pat"])
    text = [] if command == "freeze" else ["--text", tmp_path / "x.txt"]
    done = apart(f"import sys; sys.modules[{package!r}] = None", command, *named, *text)
    expected = f"error: {command} needs {package}: pip install 'patternc[demo]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


@pytest.mark.parametrize("model", ["a folder's", pytest.param("the demo's", marks=pytest.mark.slow)])
def test_where_nothing_is_to_be_said_transformers_says_nothing(model: str, folder: Path) -> None:
    more = ["--text", folder / "text.txt", "--quiet", *(["--model", folder / "model"] if model == "a folder's" else [])]
    done = apart("import sys", "inspect", f"{folder}/x.pat::axis", "--layer", "0", *more)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs no model does not load one."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr("patternc.runtime.comparison.load_model", refuse)


@pytest.mark.usefixtures("no_model")
def test_what_cannot_be_written_is_said_before_the_work(folder: Path, tmp_path: Path) -> None:
    for output, words in ((tmp_path / "no/x.html", f"{tmp_path}/no: No such"), (tmp_path, f"{tmp_path}: what is")):
        done = run("inspect", f"{folder}/x.pat::axis", "--text", folder / "text.txt", "-o", output)
        assert done.exit_code == 2 and done.stderr.startswith(f"error: {words}")


@pytest.mark.usefixtures("no_model")
def test_what_learns_nothing_is_said_before_the_work(folder: Path, tmp_path: Path) -> None:
    near = f"{folder}/x.pat::near"
    for command in (["inspect", near], ["train", "--pattern", near, "-o", tmp_path / "run"]):
        done = run(*command, "--text", folder / "text.txt")
        assert done.exit_code == 1 and done.stderr.startswith("error: near has no learned terms: ")


@pytest.mark.usefixtures("no_model")
def test_a_cross_pattern_is_refused_before_the_work(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pat").write_text("pattern p cross { step columns(first(4)) }", encoding="utf-8")
    for command in (["inspect", tmp_path / "x.pat"], ["eval", "--pattern", tmp_path / "x.pat"]):
        done = run(*command, "--text", folder / "text.txt")
        assert done.exit_code == 1 and "'p' is a cross pattern" in done.stderr
