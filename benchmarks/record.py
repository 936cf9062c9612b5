"""What every benchmark shares: timings with their spread, the machine they were taken on, and the file they go to."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from patternc.runtime.bench.spread import Spread as Spread

RESULTS = Path(__file__).parent / "results"
_PACKAGES = (
    "patternc", "torch", "triton", "numpy", "islpy", "transformers", "natten", "flashinfer-python", "flash-attn",
    "flash-attn-3", "deepspeed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that was promised, what was found, and whether it was met."""

    what: str
    wanted: float
    found: float
    at_least: bool

    @property
    def met(self) -> bool:
        return self.found >= self.wanted if self.at_least else self.found <= self.wanted

    def as_text(self) -> str:
        sign = ">=" if self.at_least else "<="
        return f"  {'met   ' if self.met else 'MISSED'}  {self.what}: {self.found:.4g}, wanted {sign} {self.wanted:g}"


def machine(device: str = "cpu") -> dict[str, Any]:
    """The hardware and the load on it before the run. No host name and no paths: results are published."""
    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cpus_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_1min_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found["memory_gib"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    if device == "cuda":
        import torch  # not wanted by the benchmarks that start `patternc check`

        found["gpu"] = torch.cuda.get_device_name()
        found["cuda_or_hip"] = torch.version.cuda or torch.version.hip
    return found


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def versions() -> dict[str, str]:
    """Of Python and of what takes part; packages that are not installed are left out."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if "patternc" not in found:
        import patternc  # a checkout on PYTHONPATH has no metadata

        found["patternc"] = patternc.__version__
    return found


def kept_rows(path: Path, own: Sequence[str], again: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Rows of a file that is there, but for those that are measured again: they have one of the values that stand in
    ``again`` for each of its names. Of the settings of the file ``own`` become theirs, where they tell none."""
    if not path.exists():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    settings = {name: value for name, value in document["settings"].items() if name in own}
    rows: list[dict[str, Any]] = document["results"]
    return [settings | row for row in rows if not all(row[name] in values for name, values in again.items())]


def covering(settings: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], **names: str) -> dict[str, Any]:
    """Settings of which each of ``names`` lists what stands in the rows, kept ones too, under its value."""
    return {**settings, **{name: list(dict.fromkeys(row[key] for row in rows)) for name, key in names.items()}}


def write(
    path: Path, benchmark: str, settings: dict[str, Any], targets: Sequence[Target], where: dict[str, Any], **rest: Any
) -> None:
    """One JSON file: what was run, where, what was promised, and ``rest``, the measurements.

    ``where`` is ``machine()`` as taken before the first measurement.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "benchmark": benchmark,
        "version": 1,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": where,
        "versions": versions(),
        "settings": settings,
        "targets": [{**asdict(target), "met": target.met} for target in targets],
        **rest,
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten: {path}")
