"""The paper's matrix, small, from a hub on loopback to its tables; offline once fetched."""

from __future__ import annotations

import contextlib
import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfgen.config import load
from selfgen.graph import cost
from selfgen.graph.steps import Graph
from tests import hub_server, judge_server, tampering
from tests.file_server import serve_texts
from tests.flow import Flow, clone
from tests.paper_mini import mini, paper, problems_of_hub, serve_models, serve_sets
from tests.workflow.test_judged import TEXTS
from tests.workflow.test_judged import answer as judged

GUARD = """\
import os, sys
def hook(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        where = arguments[1][:2]
    elif event == "socket.getaddrinfo":
        where = arguments[:2]
    else:
        return
    if f"{where[0]}:{where[1]}" != os.environ["ONLY"]:
        with open(os.environ["CALLED"], "a") as file:
            file.write(f"{event} {where}\\n")
        raise OSError(f"no network: {where}")
sys.addaudithook(hook)
"""
"""Keeps every Python process from all sockets but the judge's."""


def answer(body: dict[str, Any]) -> str | dict[str, Any]:
    """As the other judge, and in the form of TL;DR's."""
    if "TL;DR JUDGE" in body["messages"][-1]["content"]:
        return "Comparison: Both are short.\nPreferred: A"
    return judged(body)


@pytest.fixture
def mini_paper(tmp_path: Path) -> Iterator[tuple[Flow, hub_server.HubServer]]:
    """A clone whose configuration is the small one, and the hub that it fetches from."""
    root = tmp_path / "hub"
    texts = {**TEXTS, "tldr-judge": TLDR_JUDGE}
    with (
        hub_server.serve(root) as hub,
        serve_texts(tmp_path / "served", texts) as files,
    ):
        serve_models(hub)
        serve_sets(hub)
        flow = clone(tmp_path / "clone")
        flow.write_config("mini.yaml", mini(files | problems_of_hub(hub)))
        yield flow, hub


JUDGE_KEY, HUB_TOKEN = "sk-secret-of-the-run", "hf_secret_of_the_run"
TLDR_JUDGE = 'template = """TL;DR JUDGE {{post}} A: {{summarya}} B: {{summaryb}}"""\n'
RUN = ("--configfile", "mini.yaml", "--cores", "2")


@pytest.mark.slow
def test_the_paper_from_hub_to_tables(
    tmp_path: Path,
    mini_paper: tuple[Flow, hub_server.HubServer],
    warm: Callable[[Flow], None],
) -> None:
    pytest.importorskip("alpaca_eval")
    pytest.importorskip("lm_eval")
    flow, hub = mini_paper
    planned = flow.rules(*RUN)
    flow.write_config("paper.yaml", paper())
    assert set(planned) == set(flow.rules("--configfile", "paper.yaml"))

    online = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    online["HF_TOKEN"] = HUB_TOKEN
    fetching = ("--until", "fetch_hub", "fetch_file")
    done = flow.snakemake(*RUN, *fetching, **online)
    assert done.returncode == 0, done.stdout
    asked = Counter(method for method, *_ in hub.seen)
    assert asked["GET"] > planned["fetch_hub"]
    hub.shutdown()

    # Python imports this at the start of every job, whose path begins with src.
    source, called = flow.root / "src", tmp_path / "called"
    (source / "sitecustomize.py").write_text(GUARD)
    with judge_server.serve(answer) as judge:
        offline = {
            "CALLED": str(called),
            "ONLY": judge.url.split("/")[2],
            "OPENAI_BASE_URL": judge.url,
            "OPENAI_API_KEY": JUDGE_KEY,
            "HF_TOKEN": HUB_TOKEN,
        }
        _guards(source, offline)
        called.unlink()
        warm(flow)
        done = flow.snakemake(*RUN, **offline)
    assert done.returncode == 0, done.stdout[-5000:]
    assert not called.exists(), called.read_text()
    assert flow.rules(*RUN) == {}

    with (flow.root / "results/tables/main.csv").open() as file:
        rows = list(csv.DictReader(file))
    run = {(r["task"], r["model"], r["method"]) for r in rows if r["n"] != "0"}
    tasks = yaml.safe_load((flow.root / "mini.yaml").read_text())["tasks"]
    methods = list(paper()["methods"])
    assert run == {
        (name, model, method)
        for name, task in tasks.items()
        for model in task["models"]
        for method in task.get("methods", methods)
    }
    assert {r["split"] for r in rows if r["task"] == "tldr"} == {"validation"}
    with (flow.root / "results/tables/held-out-loss.csv").open() as file:
        [loss] = csv.DictReader(file)
    assert (loss["task"], loss["model"], loss["method"]) == ("qa", "mistral-7b", "sft")
    for name in ("win-rates-tldr", "alpaca-eval", "mt-bench", "gsm8k", "minerva-math"):
        assert (flow.root / f"results/tables/{name}.csv").exists()
    with (flow.root / "results/tables/verify.csv").open() as file:
        outcomes = {row["outcome"]: row["why"] for row in csv.DictReader(file)}
    assert outcomes["not comparable"] == "scale paper-mini, not paper"
    assert set(outcomes) <= {"not comparable", "not run"}
    _as_planned(flow)
    _verified(flow)
    _keeps_secrets(flow)
    manifest = json.loads((flow.root / "results/base/mistral-7b.json").read_text())
    assert manifest["inputs"]["source"]
    count = tampering.tamper(flow, tampering.jobs(flow, *RUN), positions=1)
    print(count)
    assert count.kinds >= 60


def _keeps_secrets(flow: Flow) -> None:
    """What was in the environment stands in no log, no metadata, no result, no report."""
    done = flow.snakemake(*RUN, "--report", "report.html", OPENAI_API_KEY=JUDGE_KEY)
    assert done.returncode == 0, done.stdout
    written = [path for path in flow.root.rglob("*") if path.is_file()]
    assert {"logs", "results", ".snakemake", "resources", "report.html"} <= {
        path.relative_to(flow.root).parts[0] for path in written
    }
    for secret in (JUDGE_KEY, HUB_TOKEN):
        found = [path for path in written if secret.encode() in path.read_bytes()]
        assert not found


def _as_planned(flow: Flow) -> None:
    """The disk is as full as planned, but for the state of a training, which is gone."""
    files = [
        p for top in ("results", "resources") for p in (flow.root / top).rglob("*")
    ]
    sizes = {p.stat().st_ino: p.stat().st_size for p in files if p.is_file()}
    graph = Graph(load(flow.config("mini.yaml")), flow.root)
    with contextlib.chdir(flow.root):
        parameters = cost.parameters(graph)
    planned = cost.disk(graph, parameters, cost.works(graph))
    assert sum(sizes.values()) == pytest.approx(planned.peak - planned.state, rel=0.2)
    assert not list((flow.root / "scratch").glob("*"))


def _verified(flow: Flow) -> None:
    """Were this the paper's scale, there would be outcomes; and of another rate none."""
    config = yaml.safe_load((flow.root / "mini.yaml").read_text()) | {"scale": "paper"}
    run = ("--configfile", "held.yaml", "--cores", "1", "--allowed-rules", "tabulate")

    def outcome() -> str:
        flow.write_config("held.yaml", config)
        done = flow.snakemake(*run, "-f", "results/tables/verify.md")
        assert done.returncode == 0, done.stdout
        with (flow.root / "results/tables/verify.csv").open() as file:
            found = {row["what"]: row["outcome"] for row in csv.DictReader(file)}
        return found["GSM8K, SFT"]

    assert outcome() in ("met", "not met")
    config["stages"]["math"]["learning_rate"] = 1e-3
    assert outcome() == "stale"


def _guards(source: Path, environment: dict[str, str]) -> None:
    """The judge can be reached, and nobody else."""
    host, port = environment["ONLY"].split(":")
    for where, allowed in (((host, int(port)), True), (("127.0.0.1", 9), False)):
        code = f"import socket; socket.create_connection({where!r})"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment | {"PYTHONPATH": str(source)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode == 0) == allowed, done.stderr
        assert ("OSError: no network" in done.stderr) != allowed
    assert "('127.0.0.1', 9)" in Path(environment["CALLED"]).read_text()
