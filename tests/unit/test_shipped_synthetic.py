"""The synthetic run in docs/reference/: drawn again, and of today's configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from tests import shipped

from selfgen.config.synthetic import load
from selfgen.core.spec import from_json
from selfgen.graph import synthetic
from selfgen.report import ship
from selfgen.report.synthetic.render import figure_names, table_names
from selfgen.report.synthetic.spec import AblationSpec
from selfgen.synthetic.spec import SyntheticSpec

ROOT, RUN = shipped.ROOT, shipped.SYNTHETIC
PAGE = ROOT / "docs" / "synthetic.md"


@pytest.fixture(scope="module")
def spec() -> AblationSpec:
    return from_json(AblationSpec, (RUN / "tables" / "spec.json").read_text())


@pytest.mark.slow
def test_every_table_is_drawn_again_byte_for_byte(spec: AblationSpec) -> None:
    drawn = shipped.drawn(RUN.name)
    assert drawn == {
        path.name: path.read_bytes() for path in (RUN / "tables").iterdir()
    }
    assert set(drawn) == set(table_names(spec))


def test_every_figure_is_shipped(spec: AblationSpec) -> None:
    found = {path.name for path in (RUN / "figures").iterdir()}
    assert found == set(figure_names(spec))


def test_the_page_shows_the_run() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert ship.show(page, ship.shown(RUN, PAGE)) == page


def test_it_is_a_run_of_the_shipped_configuration(spec: AblationSpec) -> None:
    config = load(yaml.safe_load((ROOT / "config" / "synthetic.yaml").read_text()))
    assert spec == synthetic.tables(config)
    manifests = json.loads((RUN / "collected" / "manifests.json").read_text())
    found = {
        Path(path).parent.name + " " + Path(path).name: from_json(
            SyntheticSpec, json.dumps(manifest["spec"])
        )
        for path, manifest in manifests.items()
    }
    assert found == {
        f"{experiment} seed{seed}": synthetic.spec(config, experiment, seed)
        for experiment in config.experiments
        for seed in config.seeds
    }


def test_the_excess_error_falls() -> None:
    """The one claim that was made beforehand: BASH lowers the excess error of extraction, at
    every beta, by p-values that survive the correction. None is made for exact match."""
    rows = pd.read_csv(RUN / "tables" / "ablations.csv")
    declared = rows[(rows["experiment"] == "extraction") & (rows["primary"] == 1)]
    assert set(declared["method"]) == {"bash-10", "bash", "bash-50", "bash-75"}
    assert set(declared["measure"]) == {"excess"}
    assert (declared["difference"] < 0).all()
    assert (declared["holm"] < 0.05).all()
