"""Nothing that a step reads is believed: every kind of file of a graph, touched."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from selfgen.core import manifests
from selfgen.core.rows import read_table
from tests import tampering
from tests.flow import CONFIGS, Flow

SMALL = ("--configfile", "small.yaml")


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_every_kind_of_file_that_a_step_reads(flow: Flow) -> None:
    before = contents(flow.root / "results")
    count = tampering.tamper(flow, tampering.jobs(flow, *SMALL))
    print(count)
    assert count.kinds >= 27 and count.changes > 400
    assert contents(flow.root / "results") == before, "nothing was written"


LARGE = ("gsm8k", "workstation")
"""Graphs whose rules ``paper`` has, too."""


@pytest.mark.parametrize(
    "name",
    [
        *(name for name in (*CONFIGS, "synthetic") if name not in LARGE),
        *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE),
    ],
)
def test_every_file_that_is_made_has_a_manifest(bare: Flow, name: str) -> None:
    """Of every job of every shipped graph: what it reads comes from a job that writes a
    manifest where it is looked for, or is a download, pinned or with its listing."""
    found = tampering.jobs(bare, "--configfile", f"config/{name}.yaml")
    manifest_of = {}
    for job in found:
        outputs = dict(job.files("output"))
        manifest = outputs.pop("manifest", None)
        assert manifest or job.rule.startswith("fetch_"), job.argv
        manifest_of |= dict.fromkeys(outputs.values(), manifest)
        if manifest:
            manifest_of[manifest] = manifest
    for job in found:
        for _, path in job.files("made"):
            manifest = Path(manifest_of[path])
            file = Path(path)
            assert manifest in (
                file,
                file.with_name("manifest.json"),
                file.parent / "manifests" / f"{file.stem}.json",
                file.with_name(f"{file.name.removesuffix('.parquet')}.json"),
            )
        pinned = dict(job.files("pin"))
        for option, path in job.files("input"):
            assert not path.startswith("results/")
            assert option in pinned or path.endswith(".listing"), (job.rule, path)


@pytest.mark.slow
def test_five_hundred_seeds(flow: Flow) -> None:
    """One job reads more files than a command line can name: their names travel in a file.
    The files are those of one seed, copied with manifests of their own."""
    flow.write_config(
        "small.yaml", flow.config("small.yaml") | {"seeds": [*range(500)]}
    )
    results = flow.root / "results"
    for folder in ("collected", "tables"):
        shutil.rmtree(results / folder)
    for file in [*results.rglob("seed0.parquet"), *results.rglob("seed0/curve.jsonl")]:
        if "base" not in file.parts and "rows" not in file.parts:
            for seed in range(1, 500):
                _copy(file, seed)
    run = (*SMALL, "--rerun-triggers", "mtime", "--", "results/tables/main.md")
    done = flow.snakemake("--cores", "2", *run)
    assert done.returncode == 0, done.stdout
    ran = re.findall(r"^localrule (\w+):$", done.stdout, re.MULTILINE)
    assert ran == ["collect_results", "tabulate"], done.stdout
    (listed,) = (flow.root / ".snakemake/arguments").iterdir()
    assert listed.stat().st_size > 500_000
    rows = read_table(results / "collected/scores.parquet").to_pydict()
    assert set(rows["seed"]) == set(range(500))


def _copy(file: Path, seed: int) -> None:
    """A file of seed 0 and its manifest as those of another seed, with their times."""
    to = Path(str(file).replace("seed0", f"seed{seed}"))
    to.parent.mkdir(exist_ok=True)
    shutil.copy2(file, to)
    kind = "manifest.json" if file.name == "curve.jsonl" else "seed0.json"
    manifest = file.with_name(kind)
    value = manifests.read(manifest)
    value["outputs"][to.name] = value["outputs"][file.name]
    place = to.with_name(kind.replace("seed0", f"seed{seed}"))
    place.write_text(json.dumps(manifests.signed(value)))
    shutil.copystat(manifest, place)
