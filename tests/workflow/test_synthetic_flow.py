"""Synthetic experiments through Snakemake: from nothing to tables, then reruns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests import tampering
from tests.conftest import Once, Warm
from tests.flow import Flow, clone

CONFIG = Path(__file__).parent / "synthetic.yaml"
RUN = ("--configfile", "synthetic.yaml")
KEPT = {"base", "sft", "sft-continued", "bash", "two-pass", "online", "rac", "spin"}
"""Methods of the larger experiment: one of each kind that reads other files."""


@pytest.fixture(scope="module")
def done(once: Once, warm: Warm) -> Flow:
    def make(root: Path) -> None:
        flow = clone(root)
        warm(flow)
        raw = yaml.safe_load(CONFIG.read_text())
        methods = raw["experiments"]["words"]["methods"]
        for name in methods.keys() - KEPT:  # trained by tests/unit/test_synthetic.py
            del methods[name]
        text = yaml.safe_dump(raw, sort_keys=False, width=1000, default_flow_style=None)
        (flow.root / "synthetic.yaml").write_text(text)
        made = flow.snakemake("--cores", "1", *RUN)
        assert made.returncode == 0, made.stdout
        # The experiment with more methods comes first, whatever the order in the file.
        order = re.findall(r"wildcards: experiment=(\w+)", made.stdout)
        assert order == ["words", "words", "brief", "brief"]

    return once("synthetic", make)


def test_tables_and_figures_are_there(done: Flow) -> None:
    table = (done.root / "results/tables/ablations-words.md").read_text()
    corrected = ("SFT, corrected once", "RAC, corrected once", "RAC, corrected twice")
    for label in ("SFT continued", "BASH", "Two-pass", "Online", *corrected, "SPIN"):
        assert f"| {label} | " in table
    for name in ("beta", "curves", "variants-words"):
        svg = (done.root / f"results/figures/{name}.svg").read_text()
        assert svg.rstrip().endswith("</svg>")
    assert len(list((done.root / "scratch/synthetic").iterdir())) == 16


def test_every_kind_of_file_that_a_step_reads(done: Flow, tmp_path: Path) -> None:
    flow = done.copy(tmp_path / "clone")
    count = tampering.tamper(flow, tampering.jobs(flow, *RUN))
    assert count.kinds == 8, count


def test_what_reruns(done: Flow, tmp_path: Path) -> None:
    flow = done.copy(tmp_path / "clone")
    assert flow.rules(*RUN) == {}
    flow.replace("synthetic.yaml", "label: BASH,", "label: Own tokens,")
    assert flow.rules(*RUN) == {"render_ablations": 1}
    flow.replace("synthetic.yaml", "beta: 0.5", "beta: 0.75")
    plan = flow.rules(*RUN)
    assert plan == {
        "run_experiment": 2,
        "collect_experiments": 1,
        "render_ablations": 1,
    }
