"""A small run that nobody disturbs, for what must end with the same bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfgen.graph.sources import WHEELS
from tests.conftest import Once, Warm
from tests.flow import Flow, clone

RUN = ("--configfile", "small.yaml")
KILLS = int(os.environ.get("SELFGEN_KILLS", "5"))
SAME = ("answers", "figures", "passes", "records", "rows", "scores")


def configuration() -> dict[str, Any]:
    """BASH and RAC after trainings of some seconds, the longer the more kills there are."""
    small = Path(__file__).parents[1] / "workflow" / "small.yaml"
    config = yaml.safe_load(small.read_text())
    del config["methods"]["sft-continued"]
    config["evaluation"] = {"baseline": "sft"}
    rac = config["methods"]["bash"] | {"label": "RAC", "mix": "rac"}
    config["methods"]["rac"] = rac | {"decodings": ["direct", "corrected"]}
    config["stages"]["sft"]["epochs"] = 40 + 12 * KILLS
    config["stages"]["second"]["epochs"] = 20 + 6 * KILLS
    config["tasks"]["descriptions"]["max_new_tokens"] = 48
    return config


def copy(root: Path) -> Flow:
    """A clone in which nothing was run, at a place of its own."""
    flow = clone(root, WHEELS["wiki"].filename)
    flow.write_config("small.yaml", configuration())
    return flow


@pytest.fixture(scope="session")
def whole(once: Once, warm: Warm) -> Flow:
    """The run, on two cores, with one job a pass, whose jobs start warm; tests only read
    it."""

    def make(root: Path) -> None:
        flow = copy(root)
        warm(flow)
        done = flow.snakemake(*RUN, "--cores", "2")
        assert done.returncode == 0, done.stdout[-5000:]

    return once("whole", make)


def results(root: Path) -> dict[str, Any]:
    """The bytes of all files that must be the same. Times and speeds are in manifests,
    curves, timings and costs."""
    folder = root / "results"
    found: dict[str, Any] = {
        str(path.relative_to(root)): path.read_bytes()
        for name in SAME
        for path in (folder / name).rglob("*")
        if path.is_file() and path.suffix != ".json"
    }
    found |= {
        path.name: path.read_bytes()
        for path in (
            *filter(Path.is_file, (folder / "tables").iterdir()),
            folder / "collected/scores.parquet",
        )
        if not path.name.startswith("cost")
    }
    return found
