"""What a run took: of manifests that steps wrote, and of downloads that they read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from selfgen.cli.main import main
from selfgen.core import manifests
from selfgen.core.provenance import sha256
from selfgen.report import plan, took
from selfgen.report.grid import to_markdown
from selfgen.report.scales import Planned, table
from selfgen.report.took import Took


def job(results: Path, name: str, started: float, wall: float, *read: str) -> None:
    """A file of 10 bytes, and the manifest of the job that made it."""
    results.mkdir(parents=True, exist_ok=True)
    (results / name).write_bytes(b"0123456789")
    facts = {"started_at": started, "wall_seconds": wall, "machine": {"cpus": 2}}
    inputs = {str(number): digest for number, digest in enumerate(read)}
    place = (results / name).with_suffix(".json")
    manifests.write(
        place,
        "plot",
        "{}",
        inputs,
        "",
        [results / name],
        facts,
    )


def test_time_is_the_union_and_downloads_are_those_that_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, downloads = tmp_path / "results", tmp_path / "downloads"
    (downloads / "wheels").mkdir(parents=True)
    (downloads / "hub").mkdir()
    wheel, other = downloads / "wheels" / "a.whl", downloads / "wheels" / "b.whl"
    wheel.write_bytes(b"1" * 7)
    other.write_bytes(b"2" * 100)
    listing = downloads / "hub" / "x.listing"
    listing.write_text(json.dumps({"files": {"w": {"bytes": 1000, "sha256": ""}}}))
    job(results / "a", "x.svg", 100, 10, sha256(wheel), "not a download")
    job(results / "b", "y.svg", 105, 10, sha256(listing))
    job(results / "b", "w.svg", 118, 2)  # after a start of 3 seconds, which counts
    job(results / "b", "z.svg", 1000, 5)  # after a pause, which does not count
    (results / "b" / "said.json").write_text('{"rule": "no manifest"}')
    size = sum(p.stat().st_size for p in results.rglob("*") if p.is_file())
    fetched = 7 + 1000 + listing.stat().st_size
    expected = Took(4, 25.0, 2, size, fetched)
    assert took.took(results, downloads) == expected

    monkeypatch.setenv("SELFGEN_RESOURCES", str(downloads))
    out = tmp_path / "out"
    (out / "tables").mkdir(parents=True)
    arguments = ["--results", str(results), "--out", str(out), "--cost-only"]
    assert main(["ship", *arguments]) == 0
    assert took.read(out) == expected and (out / "tables").is_dir()
    assert json.loads((out / took.FILE).read_text()) == asdict(expected)


def test_the_table_by_hand() -> None:
    disk = plan.Disk(36 * 10**9, 0, 4 * 10**12, 0, 0, 10**12)
    page = to_markdown(
        table(
            {
                "laptop": ("make", Took(9, 7290.0, 2, 13 * 10**9, 207 * 10**6)),
                "toy": ("toy", Took(9, 20.0, None)),
                "smoke": ("smoke", Took(9, 20.0, 2, 2_400_000, 400_000)),
                "paper": ("snakemake", Planned("h100", 338.6, disk)),
            }
        )
    )
    assert "| laptop | make | 2 h 02 min | 2 | 13 GB | 0.2 GB |" in page
    assert "| toy | toy | 1 min | — | — | — |" in page
    assert "| paper | snakemake | 339 hours of one H100 | — | 5036 GB | 36 GB |" in page
    assert "| smoke | smoke | 1 min | 2 | 2 MB | 1 MB |" in page
    assert "- paper: not run. Estimates of selfgen plan" in page
