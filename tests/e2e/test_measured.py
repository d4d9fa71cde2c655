"""The instrument as a rule: every method of a run measured alike, and as the library does."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet
import pytest
import yaml

import selfgen
from selfgen.cli.main import main
from selfgen.data.records import read
from selfgen.tasks import DATASETS
from tests import browser
from tests.conftest import Warm
from tests.flow import Flow
from tests.tiny import tiny

pytestmark = pytest.mark.slow

READ = "results/measured/descriptions/tiny/{}/seed0.parquet"


def test_every_method_is_measured_as_the_library_does(
    flow: Flow, warm: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm(flow)
    more = {"measure": {"prompts": 4}, "oracle": {"method": "sft", "prompts": 4}}
    (flow.root / "more.yaml").write_text(yaml.safe_dump({"evaluation": more}))
    run = ("--configfile", "small.yaml", "more.yaml", "--cores", "2")
    done = flow.snakemake(*run, "results/tables/measures.csv")
    assert done.returncode == 0, done.stdout
    table = [*csv.DictReader((flow.root / "results/tables/measures.csv").open())]
    methods = {"base", "sft", "sft-continued", "bash"}
    assert {line["method"] for line in table} == methods
    # The oracle is measured, too, by what needs none.
    errors = {line["method"] for line in table if line["measure"] == "oracle_nll"}
    assert errors == methods - {"sft"}
    assert {line["prompts"] for line in table if line["measure"] == "nll"} == {"4"}
    # What the baseline is above itself stands nowhere.
    assert not [x for x in table if x["method"] == "sft-continued" and x["difference"]]
    page = (flow.root / "results/tables/measures.md").read_text()
    assert "Exposure bias, descriptions" in page and "| BASH |" in page

    # The page holds the first method that is named against the others.
    more["measure"] = {"prompts": 4, "methods": ["bash", "base"]}
    (flow.root / "more.yaml").write_text(yaml.safe_dump({"evaluation": more}))
    shown = "results/measured/descriptions/tiny/measure.html"
    assert set(flow.rules(*run, shown)) == {"show_measures"}
    done = flow.snakemake(*run, shown)
    assert done.returncode == 0, done.stdout
    assert "Exposure bias of BASH, Base" in (flow.root / shown).read_text()
    numbers = json.loads((flow.root / shown).with_suffix(".json").read_text())
    assert {n["model"]: n["difference"] is None for n in numbers["measures"]} == {
        "BASH": True,
        "Base": False,
    }

    monkeypatch.chdir(flow.root)
    models = Path("results/models/descriptions/tiny")
    records = read(Path("results/records/descriptions.parquet"), ["test"])
    found = selfgen.measure(
        models / "bash/seed0/weights",
        None,
        [{k: r[k] for k in ("id", "prompt", "reference")} for r in records],
        oracle=models / "sft/seed0/weights",
        prompts=4,
        template=DATASETS["wikipedia-descriptions"].template,
        max_answer_tokens=24,
        device="cpu",
    )
    (by_id,) = found.rows[found.first].values()
    rows = pyarrow.parquet.read_table(READ.format("bash")).to_pylist()
    assert {row["id"] for row in rows} == set(by_id)
    for row in rows:
        own = by_id[row["id"]]
        for name in ("answer_ids", "sample_ids", "reference_ids", "free_wrong"):
            assert row[name] == own[name], name
        for name in ("nll", "gold_kl", "fixed_kl", "own_entropy"):
            assert row[name] == pytest.approx(own[name], abs=1e-5), name

    # An oracle of another seed: its own method is held against it, and it is trained.
    more["oracle"] = {"method": "sft", "prompts": 4, "seed": 1}
    (flow.root / "more.yaml").write_text(yaml.safe_dump({"evaluation": more}))
    planned = flow.rules(*run, "results/tables/exposure.csv")
    assert planned == {
        "finetune": 1,
        "mix_rows": 1,
        "measure_exposure": 4,
        "tabulate": 1,
    }
    more["oracle"] = {"method": "sft", "prompts": 4}

    # Another number of prompts reads again; another table does not.
    more["measure"] = {"prompts": 3}
    (flow.root / "more.yaml").write_text(yaml.safe_dump({"evaluation": more}))
    planned = flow.rules(*run, "results/tables/measures.csv")
    assert set(planned) == {"measure_model", "tabulate"}


PAGE = """
const wide = [...document.querySelectorAll(".wide")];
said.scrolls = wide.every(one => one.scrollWidth >= one.clientWidth);
const heads = document.querySelectorAll("#numbers thead th");
heads[3].click();
await new Promise(done => setTimeout(done, 200));
said.rows = document.querySelectorAll("#numbers tbody tr").length;
said.images = [...document.images].map(image => image.naturalWidth);
said.samples = document.querySelectorAll(".sample").length;
"""


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("width", browser.WIDTHS)
def test_the_page_is_read_at_three_widths(tmp_path: Path, width: int) -> None:
    folders = [tiny(tmp_path / name) for name in ("one", "other")]
    call = ["measure", str(folders[0]), "--against", str(folders[1])]
    size = ["--prompts", "4", "--max-answer-tokens", "150", "--device", "cpu"]
    out = tmp_path / "page"
    task = ["--task", "group-words", "--threads", "1", "--out", str(out)]
    assert main([*call, *size, *task]) == 0
    said = browser.look(out / "measure.html", width, PAGE, tmp_path)
    assert said["problems"] == [] and said["wide"] <= 0
    assert said["rows"] > 20 and said["samples"] == 4
    assert all(said["images"]) and len(said["images"]) >= 4
