"""The plots: from the file alone, the same bytes each time, and what was left out is not drawn."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def document(*lengths):
    def result(n):
        times = {("dense", "forward", "dense"): n * n, ("a <b>", "forward", "ours, compose"): 50 * n}
        if n < 4096:
            times |= {("a <b>", "forward", "flex"): 2 * n * n, ("a <b>", "mask", "flex"): 3 * n * n}
        rows = [
            {"pattern": name, "pass": what, "contestant": who, "median": 1e-9 * value}
            for (name, what, who), value in times.items()
        ]
        settings = {"n": n, "batch": 1, "heads": 2, "head_dim": 64, "dtype": "float32", "threads": 2}
        return {"settings": settings, "dense": {"a <b>": "dense", "dense": "dense"}, "seconds": rows}

    where = {"machine": {"cpu": "a CPU"}, "versions": {"torch": "2"}}
    return {**where, "results": [result(n) for n in lengths]}


def test_lines(benchmark_modules):
    plot = benchmark_modules("plot")
    [panel] = plot.panels(document(1024, 2048, 4096), "forward")
    assert panel.title == "a <b>"
    assert {label: len(points) for label, points in panel.lines.items()} == {
        "dense": 3, "ours, compose": 3, "flex": 2, "flex + mask": 2,
    }  # fmt: skip
    assert panel.lines["flex + mask"][0] == (1024, pytest.approx(5 * 1024**2 * 1e-6))
    assert plot.panels(document(1024), "decode") == []


def test_picture(benchmark_modules, monkeypatch, tmp_path, capsys):
    plot = benchmark_modules("plot")
    file = tmp_path / "attention-cpu.json"
    file.write_text(json.dumps(document(1024, 2048, 4096)))
    monkeypatch.setattr("sys.argv", ["plot.py", str(file), "--to", str(tmp_path)])
    plot.main()
    picture = tmp_path / "attention-cpu-forward.svg"
    first = picture.read_bytes()
    plot.main()
    assert picture.read_bytes() == first and len(first) < 10_000
    assert capsys.readouterr().out.count("written") == 2  # a pass that was not timed has no picture
    root = ET.fromstring(first)
    points = root.findall(f".//{SVG}circle")
    assert len(points) == 3 + 3 + 2 + 2
    assert all(0 <= float(p.get("cx")) <= plot.WIDTH and 0 <= float(p.get("cy")) <= plot.HEIGHT for p in points)
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"a <b>", "1k", "2k", "4k", "dense", "flex + mask"} <= set(texts)


def test_what_takes_longer_is_higher(benchmark_modules):
    axis = benchmark_modules("plot").Axis.over([0.3, 20.0], 10, 100)
    assert axis.ticks() == pytest.approx([0.1, 1, 10, 100])
    assert [axis.place(value) for value in (0.1, 1, 100)] == pytest.approx([0, 100 / 3, 100])


def test_tiles(benchmark_modules):
    plot, names = benchmark_modules("plot_tiles"), ["some", "a <b>", "equal"]
    rows = [
        {"pattern": name, "ours/needed": ours, "flex/needed": flex}
        for name, ours, flex in zip(names, (1.0, 2.0, 3.0), (10.0, 30.0, 3.0), strict=True)
    ]
    root = ET.fromstring(plot.svg(rows, 65_536))
    chart = root.find(f"{SVG}g")
    labels = [element.text for element in chart.iter(f"{SVG}text") if element.get("text-anchor") == "end"]
    assert labels == ["a <b>", "some", "equal"]
    places = [float(dot.get("cx")) for dot in chart.iter(f"{SVG}circle")]
    assert len(places) == 6 and places[4] == places[5] and 0 <= min(places) <= max(places) <= plot.ACROSS


@pytest.mark.parametrize(("script", "picture"), [("plot", "attention-cpu-forward.svg"), ("plot_tiles", "tiles.svg")])
def test_pictures_of_the_documents_are_of_the_records(script, picture, benchmark_modules, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", [script, "--to", str(tmp_path)])
    benchmark_modules(script).main()
    assert (tmp_path / picture).read_bytes() == (ROOT / "docs" / picture).read_bytes()
