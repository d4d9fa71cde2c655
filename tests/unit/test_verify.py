"""Results held against known numbers: the tolerance by hand, and every outcome."""

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
from selfgen.config.values import Value
from selfgen.core.errors import UserError
from selfgen.core.provenance import spec_digest
from selfgen.core.spec import Sampling, from_json, to_json
from selfgen.graph.steps import Graph
from selfgen.graph.tables import tables
from selfgen.graph.verify import known_numbers
from selfgen.report import tabulate
from selfgen.report.spec import TableSpec
from selfgen.report.tables.verify import Held, Known, KnownNumbers, draw, hold

ANCHOR = Value(
    what="Win rate of SFT",
    kind="codebase-anchor",
    value=0.327,
    sd=0.003,
    seeds=4,
    n=6447,
    table="wins",
    columns=["win_rate", "low", "high"],
    row={"task": "tldr", "method": "sft"},
    scale="paper",
    judge="gpt-3.5",
    source="somebody's plots",
    caveat="",
)
SPEC = TableSpec(
    kind="verify",
    name="verify",
    scale="paper",
    columns=(),
    labels={},
    baseline="",
    primary=(),
    confidence=0.95,
    cells=(),
    own=KnownNumbers((Known(ANCHOR, {}),), ("wins",), {"wins": "gpt-3.5"}),
)


def changed(**values: Any) -> Value:
    return Value.model_validate(ANCHOR.model_dump() | values)


def table(value: float | str = 0.34, half: float = 0.01) -> list[dict[str, str]]:
    """The rows of our table, as they are read."""
    ends = ["", ""] if value == "" else [value - half, value + half]
    names = ("task", "method", "win_rate", "low", "high")
    lines = [("tldr", "base", 0, 0, 0), ("tldr", "sft", value, *ends)]
    return [dict(zip(names, map(str, line), strict=True)) for line in lines]


def held(
    value: float | str, number: Value = ANCHOR, spec: TableSpec[KnownNumbers] = SPEC
) -> Held:
    return hold(Known(number, {}), spec, {"wins": table(value)}, {})


def test_the_tolerance_by_hand() -> None:
    """Items: sqrt(.327 x .673 / 6447) = .005843; seeds: .003 / 2 = .0015; both 1.96 times
    together .011823; with our own .01, .015485."""
    found = held(0.34)
    assert found.tolerance == pytest.approx(0.015485, abs=1e-6)
    assert (found.outcome, found.measured) == ("met", pytest.approx((0.34, 0.33, 0.35)))
    assert held(0.343).outcome == "not met"
    assert held(0.312).outcome == "met"
    assert held(0.311).outcome == "not met"
    no_share = held(0.34, changed(n=None))
    assert no_share.tolerance == pytest.approx((0.01**2 + 0.00294**2) ** 0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("more", "doubted"),
    [
        ({"comparison": "gpt", "unparsable": "0.050000"}, False),
        ({"comparison": "gpt", "unparsable": "0.060000"}, True),
        ({"unparsable": "10", "n": "100", "seeds": "2"}, False),
        ({"unparsable": "12", "n": "100", "seeds": "2"}, True),
        ({"unparsable": ""}, False),
    ],
)
def test_a_judge_that_could_not_be_read_meets_nothing(
    more: dict[str, str], doubted: bool
) -> None:
    """A comparison has the share of its unparsable replies, a benchmark their number."""
    rows = [row | more for row in table()]
    found = hold(Known(ANCHOR, {}), SPEC, {"wins": rows}, {})
    assert found.outcome == ("not comparable" if doubted else "met")
    assert found.why == ("6.0 % of the replies are unparsable" if doubted else "")


@pytest.mark.parametrize(
    ("number", "manifests", "spec", "value", "outcome", "why"),
    [
        (
            *({}, {}, {"scale": "laptop"}, 0.34),
            *("not comparable", "scale laptop, not paper"),
        ),
        (
            *({}, {}, {"own": replace(SPEC.own, judges={"wins": "a proxy"})}, 0.34),
            *("not comparable", "judge a proxy, "),
        ),
        ({}, {}, {}, "", "not run", "not in wins.csv"),
        ({"row": {"method": "rac"}}, {}, {}, 0.34, "not run", "not in wins.csv"),
        ({"table": "other"}, {}, {}, 0.34, "not run", "not in other.csv"),
        ({"table": None}, {}, {}, 0.34, "not comparable", "no table has it"),
        ({}, {"a": "1", "b": "2"}, {}, 0.34, "stale", "b is of another spec"),
        ({}, {"a": "1", "c": "2"}, {}, 0.34, "stale", "c is of another spec"),
    ],
)
def test_what_cannot_be_said(
    number: dict[str, Any],
    manifests: dict[str, str],
    spec: dict[str, Any],
    value: float | str,
    outcome: str,
    why: str,
) -> None:
    known = Known(changed(**number), manifests)
    ours, digests = {"wins": table(value)}, {"a": "1", "b": "3"}
    found = hold(known, replace(SPEC, **spec), ours, digests)
    assert found.outcome == outcome
    assert found.why.startswith(why)
    assert found.tolerance is None


def test_what_nobody_could_look_up_is_never_met_without_its_caveat() -> None:
    said = changed(kind="paper-secondary", caveat="Only somebody says so.")
    own = replace(SPEC.own, known=(Known(ANCHOR, {}), Known(said, {})))
    pages = draw([table()], {}, replace(SPEC, own=own)).texts()
    lines = pages["md"].splitlines()
    assert "| met | 32.70 | 34.00<br>[33.00, 35.00] | 1.55 |" in lines[4]
    assert "| met (1) |" in lines[5]
    assert "- (1) Only somebody says so." in lines
    assert "met (1)" in pages["tex"]
    first, second = csv.DictReader(io.StringIO(pages["csv"]))
    assert (first["caveat"], second["caveat"]) == ("", "Only somebody says so.")
    assert float(second["tolerance"]) == pytest.approx(0.015485)


def test_a_manifest_of_another_spec_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the files, and with the spec as it comes from the command line."""
    monkeypatch.chdir(tmp_path)
    with Path("wins.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, table()[0])
        writer.writeheader()
        writer.writerows(table())
    expected = spec_digest(to_json(Sampling(0.7)))
    own = replace(SPEC.own, known=(Known(ANCHOR, {"manifest.json": expected}),))
    spec = from_json(TableSpec, to_json(replace(SPEC, own=own)))
    inputs = {"tables": [Path("wins.csv")], "manifests": [Path("manifest.json")]}

    def outcome() -> str:
        text = tabulate.texts(spec, inputs)["csv"]
        return next(csv.DictReader(io.StringIO(text)))["outcome"]

    assert outcome() == "stale", "no manifest at all"
    for found, expected in ((Sampling(0.7), "met"), (Sampling(0.8), "stale")):
        values = json.loads(to_json(found))
        Path("manifest.json").write_text(json.dumps({"spec": values, "other": 1}))
        assert outcome() == expected


def test_a_loss_by_hand() -> None:
    """In nats, and not in percent. It is no share and of one run: the tolerance is half of
    our own interval."""
    names = ("task", "method", "loss", "low", "high")
    row = dict(zip(names, ("qa", "sft", "1.2345", "1.2305", "1.2385"), strict=True))
    number = changed(
        **{"what": "Loss", "value": 1.2375, "sd": 0.0, "seeds": 1, "n": None},
        table="held-out-loss",
        columns=["loss", "low", "high"],
        row={"task": "qa", "method": "sft"},
        judge=None,
    )
    ours = {"held-out-loss": [row]}
    found = hold(Known(number, {}), SPEC, ours, {})
    assert (found.outcome, found.tolerance) == ("met", pytest.approx(0.004))
    other = Known(number.model_copy(update={"value": 1.2395}), {})
    assert hold(other, SPEC, ours, {}).outcome == "not met"
    own = KnownNumbers((Known(number, {}),), ("held-out-loss",), {})
    pages = draw([[row]], {}, replace(SPEC, own=own)).texts()
    assert "| met | 1.2375 | 1.2345<br>[1.2305, 1.2385] | 0.0040 |" in pages["md"]
    assert "- Losses are in nats." in pages["md"]


# The shipped file.


def paper() -> Graph:
    raw = yaml.safe_load((REPO / "config" / "paper.yaml").read_text())
    return Graph(load(raw), REPO)


def test_every_known_number_has_its_place_in_the_papers_matrix() -> None:
    verified = tables(paper())["verify"]
    own = verified.spec.own
    kinds = [known.number.kind for known in own.known]
    assert kinds.count("paper-secondary") == 6
    for known in own.known:
        number = known.number
        assert number.caveat or number.kind != "paper-secondary"
        assert known.manifests, number.what
        assert number.judge in (None, own.judges.get(number.table)), number.what
    first = next(k for k in own.known if k.number.what == "TL;DR win rate, SFT 1B")
    loss = next(k for k in own.known if k.number.table == "held-out-loss")
    # What is read: the tables, and the manifests of all that is behind their rows.
    paths = [f"results/tables/{name}.csv" for name in own.tables]
    assert verified.inputs["tables"] == paths
    assert set(own.tables) == {known.number.table for known in own.known}
    assert set(loss.manifests) <= set(verified.inputs["manifests"])
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
        known = known_numbers(Graph(load(raw), REPO))
        return next(k for k in known if k.number.what == "GSM8K, BASH").manifests

    before = manifests()
    raw["methods"]["bash"]["beta"] = 0.5
    changed = set(manifests()) - set(before)
    assert len(changed) == 3, "seeds"
    assert all(path.startswith("results/passes/math/") for path in changed)


def test_a_loss_that_nobody_measures_has_no_manifest_of_it() -> None:
    """The shipped numbers beside a configuration whose SFT has no dialogues."""
    raw = yaml.safe_load((REPO / "config" / "paper.yaml").read_text())
    del raw["stages"]["zephyr"]["dialogues"]
    known = known_numbers(Graph(load(raw), REPO))
    loss = next(k for k in known if k.number.table == "held-out-loss")
    assert not any("/losses/" in path for path in loss.manifests)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("values: [{what: x}]", "own.yaml: values.0.kind: found nothing"),
        ("- a", "own.yaml: values.0: found 'a'"),
        ("a: [", "own.yaml: is no YAML: while parsing"),
        ("a: 2026-13-45", "own.yaml: is no YAML: month must be in 1..12"),
        ("# \xe9", "own.yaml: line 1: found bytes that are no UTF-8"),
        ("a: &a [*a]", "evaluation.values: own.yaml: a: found the anchor of line 1"),
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
    (tmp_path / "own.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(UserError) as caught:
        known_numbers(Graph(load(raw), tmp_path))
    first, *_ = str(caught.value).splitlines()
    assert first.startswith(("own.yaml: ", "config: evaluation.values: "))
    assert said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    raw = yaml.safe_load((REPO / "config" / "smoke.yaml").read_text())
    raw["evaluation"] = {**raw.get("evaluation", {}), "values": "none.yaml"}
    with pytest.raises(UserError, match=r"evaluation\.values: .*none\.yaml"):
        known_numbers(Graph(load(raw), tmp_path))
