"""Results held against known numbers: the tolerance by hand, and every verdict."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.flow import REPO

from selfgen.config import load
from selfgen.core.errors import UserError
from selfgen.core.provenance import spec_digest
from selfgen.core.spec import Sampling, to_json
from selfgen.graph.steps import Graph
from selfgen.graph.verify import spec as verify_spec
from selfgen.report.verify import Known, VerifySpec, hold, step, verify
from selfgen.runtime.job import Job

ANCHOR = Known(
    what="Win rate of SFT",
    kind="codebase-anchor",
    value=0.327,
    sd=0.003,
    seeds=4,
    n=6447,
    table="wins",
    columns=("win_rate", "low", "high"),
    row={"task": "tldr", "method": "sft"},
    scale="paper",
    judge="gpt-3.5",
    source="somebody's plots",
    caveat="",
    manifests={},
)
SPEC = VerifySpec((ANCHOR,), "paper", {"wins": "gpt-3.5"}, 0.95)


def table(folder: Path, value: float | str = 0.34, half: float = 0.01) -> Path:
    ends = ["", ""] if value == "" else [value - half, value + half]
    lines = [("task", "method", "win_rate", "low", "high")]
    lines += [("tldr", "base", 0, 0, 0), ("tldr", "sft", value, *ends)]
    with (folder / "wins.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return folder


def test_the_tolerance_by_hand(tmp_path: Path) -> None:
    """Items: sqrt(.327 x .673 / 6447) = .005843; seeds: .003 / 2 = .0015; both 1.96 times
    together .011823; with our own .01, .015485."""
    held = hold(ANCHOR, SPEC, table(tmp_path))
    assert held.tolerance == pytest.approx(0.015485, abs=1e-6)
    assert (held.verdict, held.measured) == ("met", pytest.approx((0.34, 0.33, 0.35)))
    assert hold(ANCHOR, SPEC, table(tmp_path, 0.343)).verdict == "not met"
    assert hold(ANCHOR, SPEC, table(tmp_path, 0.312)).verdict == "met"
    assert hold(ANCHOR, SPEC, table(tmp_path, 0.311)).verdict == "not met"
    no_share = replace(ANCHOR, n=None)
    held = hold(no_share, SPEC, table(tmp_path))
    assert held.tolerance == pytest.approx((0.01**2 + 0.00294**2) ** 0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("known", "spec", "value", "verdict", "why"),
    [
        ({}, {"scale": "laptop"}, 0.34, "not comparable", "scale laptop, not paper"),
        (
            {},
            {"judges": {"wins": "a proxy"}},
            0.34,
            "not comparable",
            "judge a proxy, ",
        ),
        ({}, {}, "", "not run", "not in wins.csv"),
        ({"row": {"method": "rac"}}, {}, 0.34, "not run", "not in wins.csv"),
        ({"table": "other"}, {}, 0.34, "not run", "not in other.csv"),
        ({"table": None}, {}, 0.34, "not comparable", "no table has it"),
        (
            {"manifests": {"a": "1", "b": "2"}},
            {},
            0.34,
            "stale",
            "b is of another spec",
        ),
    ],
)
def test_what_cannot_be_said(
    tmp_path: Path,
    known: dict[str, Any],
    spec: dict[str, Any],
    value: float | str,
    verdict: str,
    why: str,
) -> None:
    found = replace(ANCHOR, **known)
    held = hold(found, replace(SPEC, **spec), table(tmp_path, value), stale=["b"])
    assert held.verdict == verdict
    assert held.why.startswith(why)
    assert held.tolerance is None


def test_what_nobody_could_look_up_is_never_met_without_its_caveat(
    tmp_path: Path,
) -> None:
    said = replace(ANCHOR, kind="paper-secondary", caveat="Only somebody says so.")
    pages = verify(replace(SPEC, known=(ANCHOR, said)), table(tmp_path), [])
    lines = pages["verify.md"].splitlines()
    assert "| met | 32.70 | 34.00<br>[33.00, 35.00] | 1.55 |" in lines[4]
    assert "| met (1) |" in lines[5]
    assert "- (1) Only somebody says so." in lines
    assert "met (1)" in pages["verify.tex"]
    first, second = csv.DictReader(io.StringIO(pages["verify.csv"]))
    assert (first["caveat"], second["caveat"]) == ("", "Only somebody says so.")
    assert float(second["tolerance"]) == pytest.approx(0.015485)


def test_a_manifest_of_another_spec_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table(tmp_path)
    spec = Sampling(0.7)
    digest = spec_digest(to_json(spec))
    known = replace(ANCHOR, manifests={"manifest.json": digest})
    names = [f"verify.{kind}" for kind in ("md", "tex", "csv")]
    job = Job({}, {name: tmp_path / name for name in names})

    def verdict() -> str:
        step(replace(SPEC, known=(known,)), job)
        text = (tmp_path / "verify.csv").read_text()
        return next(csv.DictReader(io.StringIO(text)))["verdict"]

    assert verdict() == "stale", "no manifest at all"
    for found, expected in ((spec, "met"), (Sampling(0.8), "stale")):
        values = json.loads(to_json(found))
        Path("manifest.json").write_text(json.dumps({"spec": values, "other": 1}))
        assert verdict() == expected


def test_a_loss_by_hand(tmp_path: Path) -> None:
    """In nats, and not in percent. It is no share and of one run: the tolerance is half of
    our own interval."""
    lines = [("task", "method", "loss", "low", "high")]
    lines += [("qa", "sft", 1.2345, 1.2305, 1.2385)]
    with (tmp_path / "held-out-loss.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    known = replace(
        ANCHOR,
        **{"what": "Loss", "value": 1.2375, "sd": 0.0, "seeds": 1, "n": None},
        table="held-out-loss",
        columns=("loss", "low", "high"),
        row={"task": "qa", "method": "sft"},
        judge=None,
    )
    held = hold(known, SPEC, tmp_path)
    assert (held.verdict, held.tolerance) == ("met", pytest.approx(0.004))
    assert hold(replace(known, value=1.2395), SPEC, tmp_path).verdict == "not met"
    pages = verify(replace(SPEC, known=(known,)), tmp_path, [])
    shown = "| met | 1.2375 | 1.2345<br>[1.2305, 1.2385] | 0.0040 |"
    assert shown in pages["verify.md"]
    assert "- Losses are in nats." in pages["verify.md"]


# The shipped file.


def paper() -> Graph:
    raw = yaml.safe_load((REPO / "config" / "paper.yaml").read_text())
    return Graph(load(raw), REPO)


def test_every_known_number_has_its_place_in_the_papers_matrix() -> None:
    graph = paper()
    spec = verify_spec(graph)
    kinds = [known.kind for known in spec.known]
    assert kinds.count("paper-secondary") == 6
    for known in spec.known:
        assert known.caveat or known.kind != "paper-secondary"
        assert known.manifests, known.what
        assert known.judge in (None, spec.judges.get(known.table)), known.what
    first = next(k for k in spec.known if k.what == "TL;DR win rate, SFT 1B")
    loss = next(k for k in spec.known if k.table == "held-out-loss")
    assert list(loss.manifests) == [
        "results/rows/qa/mistral-7b/sft/seed42.json",
        "results/models/qa/mistral-7b/sft/seed42/manifest.json",
        "results/losses/qa/mistral-7b/sft/seed42.json",
    ]
    models = [path for path in first.manifests if "/models/" in path]
    assert models == [
        f"results/models/tldr/pythia-1b/sft/seed{seed}/manifest.json"
        for seed in (44413, 55513, 66613, 77713)
    ]


def test_a_row_is_stale_with_its_pass() -> None:
    """Another beta is another pass, which no other spec behind the row says."""
    raw = yaml.safe_load((REPO / "config" / "paper.yaml").read_text())

    def manifests() -> dict[str, str]:
        spec = verify_spec(Graph(load(raw), REPO))
        return next(k for k in spec.known if k.what == "GSM8K, BASH").manifests

    before = manifests()
    raw["methods"]["bash"]["beta"] = 0.5
    changed = set(manifests()) - set(before)
    assert len(changed) == 3 * 4, "seeds and shards"
    assert all(path.startswith("results/passes/math/") for path in changed)


def test_a_loss_that_nobody_measures_has_no_manifest_of_it() -> None:
    """The shipped numbers beside a configuration whose SFT has no dialogues."""
    raw = yaml.safe_load((REPO / "config" / "paper.yaml").read_text())
    del raw["stages"]["zephyr"]["dialogues"]
    spec = verify_spec(Graph(load(raw), REPO))
    loss = next(k for k in spec.known if k.table == "held-out-loss")
    assert not any("/losses/" in path for path in loss.manifests)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("values: [{what: x}]", "own.yaml: values.0.kind: found nothing"),
        ("- a", "own.yaml: values.0: found 'a'"),
        ("a: [", "evaluation.values: while parsing"),
        ("values: []", "own.yaml: values: found []"),
        (
            "values: [{what: x, kind: paper-secondary, value: 1, table: null, row: {},"
            " scale: s, source: s}]",
            "own.yaml: values.0.caveat: found none, which 'paper-secondary' needs",
        ),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    raw = yaml.safe_load((REPO / "config" / "smoke.yaml").read_text())
    raw["evaluation"] = {**raw.get("evaluation", {}), "values": "own.yaml"}
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        verify_spec(Graph(load(raw), tmp_path))
    first, *_ = str(caught.value).splitlines()
    assert first.startswith(("own.yaml: ", "config: evaluation.values: "))
    assert said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    raw = yaml.safe_load((REPO / "config" / "smoke.yaml").read_text())
    raw["evaluation"] = {**raw.get("evaluation", {}), "values": "none.yaml"}
    with pytest.raises(UserError, match=r"evaluation\.values: .*none\.yaml"):
        verify_spec(Graph(load(raw), tmp_path))
