"""Artifacts: what is written is read back, and nothing else is believed."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from patternc.compiler.pattern import load, loads
from patternc.runtime import artifact
from patternc.runtime.artifact import ArtifactError
from patternc.runtime.build import Request, build

TEXT = """pattern p(w: int = 8, g: set = first(1)) causal {
    step local(w) | columns(g)
    prove nonempty
}
"""
REQUEST = Request.parse(length=512, head_dim=32, dtype="fp32", targets="cpu", emit="")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pattern = loads(TEXT, "p.pat")["p"].bind(w=4, g="{0, 5..9}")
    build(pattern, REQUEST, tmp_path / "built", lambda step: None)
    return tmp_path / "built"


def edit_manifest(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def test_round_trip(folder: Path) -> None:
    found = artifact.load(folder)
    assert found.manifest.arguments == {"w": "4", "g": "{0, 5..9}"}
    assert [verdict.status for verdict in found.manifest.verdicts] == ["proved"]
    expected = loads(TEXT)["p"].bind(w=4, g="{0, 5..9}")
    assert found.pattern.relation.equals(expected.relation)
    assert not found.pattern.relation.equals(loads(TEXT)["p"].relation)


@pytest.mark.parametrize("name", ["pattern.pat", "manifest.json", "kernels.py"])
def test_files_of_others_are_not_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactError, match="is there, and of no artifact: give a folder of its own"):
        build(loads(TEXT, "p.pat")["p"], REQUEST, tmp_path, lambda step: None)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text(encoding="utf-8") == "{}"


def test_an_artifact_takes_the_place_of_another(folder: Path) -> None:
    build(loads(TEXT, "p.pat")["p"], REQUEST, folder, lambda step: None)
    assert artifact.load(folder).manifest.arguments == {"w": "8"}


@pytest.mark.parametrize("other", [True, False])
def test_where_the_disk_is_full_nothing_is_left_by_halves(
    other: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "built"
    if other:
        build(loads(TEXT, "p.pat")["p"].bind(w=4), REQUEST, folder, lambda step: None)
    write, left = Path.write_bytes, [3]

    def filling(self: Path, data: bytes) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, data)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", filling)
        with pytest.raises(OSError, match=r"No space left on device.*built/kernels\.py"):
            build(loads(TEXT, "p.pat")["p"], REQUEST, folder, lambda step: None)
    if other:
        assert artifact.load(folder).manifest.arguments == {"w": "4"}
    assert len(list(folder.iterdir())) == (5 if other else 0)
    build(loads(TEXT, "p.pat")["p"], REQUEST, folder, lambda step: None)
    assert artifact.load(folder).manifest.arguments == {"w": "8"}


DEFAULTS = """rule mine(k: int) = first(k)
pattern p(k: int = 3, g: set = mine(k), r: relation = local(k) # the window
    | columns(g)) causal { step r | self }
"""


@pytest.mark.parametrize(
    "given", [{}, {"k": 5}, {"g": "{0, # the first\n7}"}, {"r": "local(2) # near\n | columns(mine(4))"}]
)
def test_sets_and_relations_are_read_back_as_they_were_written(given: dict[str, Any], tmp_path: Path) -> None:
    pattern = loads(DEFAULTS, "p.pat")["p"].bind(**given)
    build(pattern, REQUEST, tmp_path, lambda step: None)
    found = artifact.load(tmp_path)
    assert found.manifest.arguments.keys() == {"k", *given}
    assert found.pattern.bound == pattern.bound
    assert found.pattern.relation.equals(pattern.relation)


def test_a_share_of_many_digits_is_read_back(tmp_path: Path) -> None:
    pattern = loads("pattern p(d: ratio = 33.333333333333336%) causal { step local(2) }", "p.pat")["p"]
    build(pattern, REQUEST, tmp_path, lambda step: None)
    assert artifact.load(tmp_path).pattern.arguments["d"] == pattern.arguments["d"]


@pytest.fixture
def importing(tmp_path: Path) -> Path:
    """The artifact of a file that imports others, which are gone."""
    texts = {
        "near.pat": "rule near(w: int) = local(w)",
        "sub/far.pat": 'from "../near.pat" import near as n\nrule far(w: int) = n(w) | columns(first(2))',
        "p.pat": 'from "near.pat" import near\nfrom "sub/far.pat" import far\n'
        'from "library:longformer" import longformer\npattern p causal { step near(8) | far(3) }',
    }
    (tmp_path / "sub").mkdir()
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    build(load(tmp_path / "p.pat")["p"], REQUEST, tmp_path / "built", lambda step: None)
    for name in texts:
        (tmp_path / name).unlink()
    return (tmp_path / "built").rename(tmp_path / "moved")


def test_imported_files_are_part_of_it(importing: Path) -> None:
    expected = loads("pattern p causal { step local(8) | columns(first(2)) }")["p"]
    assert artifact.load(importing).pattern.relation.equals(expected.relation)


def test_an_import_that_is_not_listed_is_refused(importing: Path) -> None:
    edit_manifest(importing, imports={})
    with pytest.raises(ArtifactError, match=r"the artifact does not hold near\.pat"):
        artifact.load(importing)


def test_a_changed_import_is_refused(importing: Path) -> None:
    with (importing / "imports/1.pat").open("a", encoding="utf-8") as file:
        file.write("# more\n")
    with pytest.raises(ArtifactError, match=r"imports/1\.pat was changed"):
        artifact.load(importing)


def test_a_source_that_gives_no_program_is_refused(folder: Path) -> None:
    text = TEXT.replace("step local(w)", "step document(ids)")
    (folder / "pattern.pat").write_text(text, encoding="utf-8")
    files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    edit_manifest(folder, files={**files, "pattern.pat": artifact.digest(text.encode())})
    with pytest.raises(ArtifactError, match="does not give a program"):
        artifact.load(folder)


@pytest.mark.parametrize("change", [{"tile": [0, 0]}, {"tile": [100, 128]}, {"terms": 7}])
def test_a_plan_that_is_not_the_programs_is_refused(change: dict[str, Any], folder: Path) -> None:
    plan = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["plan"]
    edit_manifest(folder, plan={**plan, **change})
    with pytest.raises(ArtifactError, match=r"is not a manifest|says of the plan what plan\.json does not"):
        artifact.load(folder)


def test_the_same_pattern_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    pattern = loads(TEXT, "elsewhere.pat")["p"].bind(w=4, g="{0, 5..9}")
    written = build(pattern, REQUEST, tmp_path / "again", lambda step: None)
    for path in written:
        if path.name != "proofs.json":  # it names the file that was checked
            assert path.read_bytes() == (folder / path.name).read_bytes() or path.name == "manifest.json"


@pytest.mark.parametrize("name", ["pattern.pat", "plan.json", "kernels.py", "proofs.json"])
def test_a_changed_file_is_refused(name: str, folder: Path) -> None:
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(ArtifactError, match=f"{name} was changed .* compile the pattern again"):
        artifact.load(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "plan.json").unlink()
    with pytest.raises(ArtifactError, match=r"plan\.json is missing"):
        artifact.load(folder)


def test_foreign_kernels_are_refused_even_with_their_hash(folder: Path) -> None:
    text = "raise SystemExit('executed')\n"
    (folder / "kernels.py").write_text(text, encoding="utf-8")
    files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    edit_manifest(folder, files={**files, "kernels.py": artifact.digest(text.encode())})
    with pytest.raises(ArtifactError, match=r"kernels\.py is not what patternc .* makes of pattern\.pat"):
        artifact.load(folder)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", "a\\b", "manifest.json", "", "./x", "a\0b"])
def test_no_path_leads_out(path: str, folder: Path) -> None:
    edit_manifest(folder, files={path: "0" * 64})
    with pytest.raises(ArtifactError, match="is not a manifest"):
        artifact.load(folder)


@pytest.mark.parametrize(
    "changes", [{"schema_version": 2}, {"surprise": 1}, {"length": 0}, {"dtype": "int8"}, {"files": {"x": "short"}}]
)
def test_a_manifest_of_another_schema_is_refused(changes: dict[str, Any], folder: Path) -> None:
    edit_manifest(folder, **changes)
    with pytest.raises(ArtifactError, match="is not a manifest that patternc"):
        artifact.load(folder)


@pytest.mark.parametrize(
    "changes",
    [{"pattern": "q"}, *({"arguments": each} for each in ({"w": "none"}, {"q": "1"}, {"w": ""}, {"w x": "1"}))],
)
def test_a_manifest_that_does_not_fit_its_source(changes: dict[str, Any], folder: Path) -> None:
    edit_manifest(folder, **changes)
    with pytest.raises(ArtifactError, match="does not give the pattern"):
        artifact.load(folder)


def test_files_must_be_listed(folder: Path) -> None:
    edit_manifest(folder, files={})
    with pytest.raises(ArtifactError, match=r"lists no kernels\.py, pattern\.pat, plan\.json"):
        artifact.load(folder)


@pytest.mark.slow
def test_binaries(tmp_path: Path) -> None:
    request = Request.parse(
        length=512, head_dim=32, dtype="bf16", targets="sm_90,gfx942", emit="ptx,cubin,hsaco,report"
    )
    build(loads(TEXT, "p.pat")["p"], request, tmp_path, lambda step: None)
    found = artifact.load(tmp_path)
    assert found.files["sm_90/forward_0.cubin"].startswith(b"\x7fELF")
    assert found.files["gfx942/forward_0.hsaco"].startswith(b"\x7fELF")
    assert "ptx" not in {Path(path).suffix for path in found.files if path.startswith("gfx942")}
    assert json.loads(found.files["sm_90/report.json"])["forward_0"]["registers"] > 0


@pytest.mark.parametrize("step", ["local(8) | random(2, 16)", "local(8) | random(2, 128)", "random(2, 16)"])
def test_seeded_tables_stand_in_the_plan(step: str, tmp_path: Path) -> None:
    pattern = loads(f"pattern p causal {{ step {step} prove causal }}", "p.pat")["p"]
    request = Request.parse(length=512, head_dim=32, dtype="fp32", targets="cpu,sm_90", emit="report")
    build(pattern, request, tmp_path, lambda step: None)
    found = artifact.load(tmp_path)
    plan = json.loads(found.files["plan.json"])
    [table] = plan["tables"]
    assert f"random({table['count']}, {table['block']})" == table["label"] == step.split(" | ")[-1]
    assert table["seed"] == 0
    alone = not step.startswith("local")
    assert (plan["positional"] is None) == alone == ("sm_90/report.json" not in found.files)
    assert found.manifest.plan.terms == (0 if alone else 1)
