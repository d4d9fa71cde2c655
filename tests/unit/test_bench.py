"""The benchmarks run, compare what they say they compare, and write their pages."""

from __future__ import annotations

import json
import math
import os
import platform
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.unit.test_prompts import folder  # noqa: F401 (fixture)

from selfgen.bench import floor, forced, free, harness, parts, start, training
from selfgen.bench.free import ENGINES
from selfgen.cli.main import main
from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.rows import write_rows
from selfgen.core.spec import Device, Sampling
from selfgen.data.chat_templates import CHATML
from selfgen.data.prompts import load_tokenizer
from selfgen.data.records import COLUMNS
from selfgen.generation.decoding import Prompt
from selfgen.models import base, loading, shapes
from selfgen.models.base import ModelSpec
from selfgen.training import causal


def bench(kind: str, *argv: str | Path, repeats: int = 2) -> int:
    many = () if kind in ("parts", "floor", "scale") else ("--repeats", str(repeats))
    argv = (kind, *argv, *many, "--device", "cpu")
    return main(["bench", *map(str, argv)])


def test_forced(
    folder: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["--weights", folder, "--out", tmp_path, "--beta", "0.5", "--batch", "3"]
    sizes = ["--prompt-tokens", "4", "--answer-tokens", "8", "--long", "12"]
    assert bench("forced", *argv, *sizes) == 0
    runs = json.loads((tmp_path / "forced.json").read_text())
    names = [
        forced.GENERATE,
        "sequential",
        "speculative",
        "auto",
        "onepass",
        forced.FLOOR,
    ]
    assert [t["name"] for t in runs["timings"]] == 2 * names
    assert all(len(t["seconds"]) == 2 for t in runs["timings"])
    assert runs["timings"][0]["tokens"] == 3 * 8
    sequential, speculative = (runs["timings"][i]["notes"] for i in (1, 2))
    assert speculative["passes"] < sequential["passes"] == 8
    assert sequential["differ"] == speculative["differ"] == 0
    page = (tmp_path / "forced.md").read_text()
    assert page.count("\n| ") == 2 + len(runs["timings"])
    assert "torch" in page.splitlines()[2]
    assert page in capsys.readouterr().out


@pytest.mark.slow
def test_free(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    import pandas

    texts = ["Name a sea.", "One and one is", "Why?", "Say it once more, please."]
    empty = dict.fromkeys(COLUMNS, "")
    rows = [
        empty | {"id": str(i), "split": "test", "prompt": text}
        for i, text in enumerate(texts)
    ]
    rows += [empty | {"id": "t", "split": "train", "prompt": "Not asked."}]
    pandas.DataFrame(rows).to_parquet(tmp_path / "some.parquet")
    argv = ["--weights", folder, "--out", tmp_path]
    records = ["--records", tmp_path / "some.parquet", "--max-new-tokens", "5"]
    assert bench("free", *argv, *records, "--batch", "2", repeats=1) == 0
    runs = json.loads((tmp_path / "free.json").read_text())
    assert runs["machine"]["records"] == "some"
    names = [free.GENERATE, f"{free.GENERATE}, {harness.KEPT}", free.CONTINUOUS]
    names += [*free.ENGINES, free.FLOOR]
    assert [t["name"] for t in runs["timings"]] == names
    floor = runs["timings"].pop()
    assert floor["tokens"] == 0 and floor["notes"] == {}
    for timing in runs["timings"]:
        assert timing["notes"]["same"] == timing["case"]["prompts"] == 4
        assert 0 < timing["tokens"] <= 4 * 5
        assert 0 < timing["seconds"][0] < 60
        assert timing["memory_mb"] > 100
    page = (tmp_path / "free.md").read_text()
    assert "4 of 4" in page
    ratio = runs["timings"][0]["seconds"][0] / floor["seconds"][0]
    shown = f"| {free.FLOOR} | 2 |  | {ratio:.2f} |  |  |"
    assert page.splitlines()[-1].startswith(shown)

    # Answers of others to the same prompts, as siblings and as drafts to correct
    given = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
    pandas.DataFrame(given).to_parquet(tmp_path / "given.parquet")
    records += ["--siblings", tmp_path / "given.parquet"]
    read = []
    for size, more in (("1", []), ("2", ["--correct"])):
        argv[4:] = ["--batch", size]
        assert bench("free", *argv, *records, *more, repeats=1) == 0
        runs = json.loads((tmp_path / "free.json").read_text())
        assert runs["machine"]["turn"] == 1 + len(more)
        *others, near, _ = runs["timings"]
        # One prompt at a time, transformers copies from the prompt, too
        found = [t["notes"]["same"] for t in others if t["name"] == free.LOOKUP]
        assert found == ([4] if size == "1" else [])
        assert near["name"] == free.SIBLINGS
        assert near["notes"]["same"] == 4
        read += [t["notes"]["forwarded_tokens"] for t in others if t["name"] in ENGINES]
    assert min(read[2:]) > max(read[:2])  # prompts with drafts are longer

    # Sampled: each kind by noise of its own, ours all by the same
    argv[4:] = ["--batch", "2", "--temperature", "1.5"]
    assert bench("free", *argv, *records, repeats=1) == 0
    runs = json.loads((tmp_path / "free.json").read_text())
    assert runs["machine"]["temperature"] == 1.5
    same = {t["name"]: t["notes"].get("same") for t in runs["timings"]}
    ours = [*ENGINES, free.SIBLINGS]
    assert same == dict.fromkeys([*names[:3], free.FLOOR]) | dict.fromkeys(ours, 4)
    page = (tmp_path / "free.md").read_text()
    assert page.count("4 of 4") == 3
    plain, *_, near, _ = runs["timings"]
    ratio = near["tokens"] / near["seconds"][0] * plain["seconds"][0] / plain["tokens"]
    assert f"| {ratio:.2f} |" in page.splitlines()[-2]

    pandas.DataFrame(given[1:]).to_parquet(tmp_path / "given.parquet")
    assert bench("free", *argv, *records, repeats=1) == 1


def test_a_model_s_own_penalties_are_no_part_of_the_comparison(folder: Path) -> None:  # noqa: F811
    where, tokenizer = Device("cpu", "fp32"), load_tokenizer(folder)
    model = loading.load(folder).eval()
    prompts = [Prompt("a", 0, [5, 6, 7]), Prompt("b", 0, [8])]
    case = free.Case(folder, prompts, 12, 2, where, Sampling())
    expected = free.with_generate(model, tokenizer, case)
    own = model.generation_config
    own.repetition_penalty = 50.0
    assert free.with_generate(model, tokenizer, case) == expected
    assert model.generation_config is own


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["train", "dpo"])
def test_training_agrees_with_trl(
    kind: str,
    folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    argv = ["--weights", folder, "--out", tmp_path, "--steps", "3", "--batch", "4"]
    shape = ["--length", "20", "--peak-tflops", "1"]
    assert bench(kind, *argv, *shape, repeats=1) == 0
    ours, *others = json.loads((tmp_path / f"{kind}.json").read_text())["timings"]
    assert ours["name"] == "selfgen"
    trl = training.TRL[kind == "dpo"]
    names = [f"{trl}{x}" for x in ("", ", defaults", f", {harness.KEPT}")]
    assert [t["name"] for t in others] == names
    for other in others:
        assert 0 < other["notes"]["apart"] < 1e-4
        assert len(other["notes"]["losses"]) == 3
    if kind == "dpo":
        assert ours["notes"]["losses"][0] == pytest.approx(math.log(2), abs=1e-6)
        assert ours["notes"]["losses"][2] < math.log(2) - 1e-5
    assert "of peak" in (tmp_path / f"{kind}.md").read_text()


@pytest.mark.slow
def test_parts(tmp_path: Path) -> None:
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 2, "num_key_value_heads": 1}
    tiny = tmp_path / "model"
    base.prepare(ModelSpec("random", None, CHATML, "llama", shape, 0), None, tiny)
    argv = ["--weights", tiny, "--out", tmp_path, "--steps", "3", "--precision", "fp32"]
    assert bench("parts", *argv, "--batch", "4", "--length", "20") == 0
    timings = json.loads((tmp_path / "parts.json").read_text())["timings"]
    found = {timing["name"]: timing for timing in timings}
    assert [*found] == [*parts.PRODUCTS, *parts.KINDS, parts.REST]
    assert all(timing["seconds"][0] > 0 for timing in timings)
    # Forward, and backward to states and to weights, of labelled positions alone
    model = loading.load(tiny)
    rows = training.random_rows(3, 4, 20, model.config.vocab_size)
    rows = [row for row in rows if row["step"]]  # the first warms up
    weights = model.get_output_embeddings().weight.numel()
    assert found["head"]["notes"]["flops"] == 3 * 2 * causal.labelled(rows) * weights
    tokens = sum(len(row["input_ids"]) for row in rows)
    for part, word in ((parts.PRODUCTS[1], "mlp"), (parts.PRODUCTS[2], "attn")):
        own = sum(p.numel() for name, p in model.named_parameters() if word in name)
        assert found[part]["notes"]["flops"] == 3 * 2 * tokens * own
    for timing in timings:
        assert (timing["notes"]["alone"] > 0) == (timing["name"] in parts.PRODUCTS)
    assert "of the same products alone" in (tmp_path / "parts.md").read_text()

    # The first steps of a file
    more = training.random_rows(4, 4, 20, model.config.vocab_size)
    write_rows(tmp_path / "rows.parquet", more)
    assert bench("parts", *argv, "--rows", tmp_path / "rows.parquet") == 0
    first, *_ = json.loads((tmp_path / "parts.json").read_text())["timings"]
    assert first["case"] == {"steps": 2, "rows": 8}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks are of Linux")
def test_start(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    texts = {"split": "test", "prompt": "Why?", "reference": "So."}
    write_rows(
        tmp_path / "a.parquet", [dict.fromkeys(COLUMNS, "") | {"id": "a"} | texts]
    )
    argv = ["--weights", folder, "--out", tmp_path]
    assert bench("start", *argv, "--records", tmp_path / "a.parquet", repeats=1) == 0
    timings = json.loads((tmp_path / "start.json").read_text())["timings"]
    assert [(t["case"]["step"], t["name"]) for t in timings] == [
        (step, how)
        for step in (start.ANSWERS, start.SCORES)
        for how in (start.ALONE, start.FORK)
    ]
    assert all(timing["seconds"][0] > 0 for timing in timings)
    for alone, fork in (timings[:2], timings[2:]):
        packages = alone["notes"]["imports"]
        assert 0 < sum(packages.values()) < 2 * alone["seconds"][0]
        assert "selfgen" in packages and "imports" not in fork["notes"]
    assert "torch" in timings[0]["notes"]["imports"]
    page = (tmp_path / "start.md").read_text()
    assert "A figure is of one run." in page and page.count("| a fork |") == 2


def test_imports_are_summed_by_package_and_small_ones_together() -> None:
    said = """
import time: self [us] | cumulative | imported package
import time:    150000 |     150000 |     torch._C
import time:    250000 |     400000 |   torch
import time:     90000 |      90000 |     yaml
warning: a | line of another kind
import time:     30000 |      30000 | selfgen.core
"""
    found = start._imports(said)
    assert found == pytest.approx({"torch": 0.4, "yaml": 0.09, "selfgen": 0.03})
    cases = [("a", found), ("b", {"yaml": 0.2}), ("b", None)]
    timings = [
        harness.Timing("x", {"step": step}, 0, [1.0], notes={"imports": i} if i else {})
        for step, i in cases
    ]
    assert start.page(timings).splitlines()[-6:] == [
        "| package | a | b |",
        "| :-- | --: | --: |",
        "| torch | 0.40 | 0.00 |",
        "| yaml | 0.09 | 0.20 |",
        "| all others | 0.03 | 0.00 |",
        "| all | 0.52 | 0.20 |",
    ]
    assert "imports" not in start.page(timings[2:])


def test_a_step_that_fails_is_named_in_one_line() -> None:
    with pytest.raises(UserError, match=r"^bench start: a step ended with 1: no room$"):
        start._call([sys.executable, "-c", "exit('error: no room')"], "")


def test_forks_that_are_none_are_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="process that forks has ended: No such file"):
        start._check(str(tmp_path / "gone"))


def killed() -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def test_a_contender_that_the_system_kills_is_named_in_one_line() -> None:
    run = harness.Apart(killed, device=torch.device("cpu"), keep=False)
    with pytest.raises(UserError, match="was killed, as the system does where memory"):
        run()


def job(rule: str, wall: float, **facts: Any) -> dict[str, Any]:
    """A manifest, as far as the floor of a run reads it."""
    return {
        **{"rule": rule, "inputs": {}, "started_at": 100.0, "wall_seconds": wall},
        **{"machine": manifests.machine() | {"cpus": 2}, "run": {"threads": 1}},
        **{"device": "cpu", "precision": "fp32"},
        **facts,
    }


def trained(lora: bool = False, loss: dict[str, Any] | None = None) -> dict[str, Any]:
    """Facts of a training."""
    spec = {"optimization": {"lora": {"rank": 4} if lora else None}, "loss": loss}
    return {"spec": spec, "forwarded_tokens": 1000, "labelled_tokens": 10}


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def write(results: Path, *jobs: dict[str, Any]) -> None:
    for number, found in enumerate(jobs):
        path = results / str(number) / "manifest.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(found))


@pytest.mark.usefixtures("two_cores")
def test_floor(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    """Of two jobs side by side on two cores, 30 and 50 s long, beside one without a model."""
    results = tmp_path / "results"
    (results / "base" / "one").mkdir(parents=True)
    (results / "base" / "one.json").write_text(json.dumps(job("prepare_base", 1.0)))
    write(
        results,
        job("finetune", 30.0, **trained(), seconds=29.0),
        job("generate_answers", 50.0, forwarded_tokens=500, projected_tokens=7),
        job("score_answers", 60.0),
    )
    argv = ["--weights", folder, "--out", tmp_path, "--results", results]
    assert bench("floor", *argv, "--precision", "fp32") == 0
    timings = json.loads((tmp_path / "floor.json").read_text())["timings"]
    body, head = training.sizes(loading.load(folder))
    flops = [6.0 * (1000 * body + 10 * head), 2.0 * (500 * body + 7 * head)]
    assert [t["notes"]["flops"] for t in timings] == [*flops, sum(flops)]
    assert [t["seconds"][0] for t in timings] == [15.0, 25.0, 60.0]
    assert [t["notes"]["jobs"] for t in timings] == [1, 1, 4]
    rates = {round(t["notes"]["flops"] / t["notes"]["least"], 3) for t in timings}
    assert len(rates) == 1 and min(rates) > 0
    # A minute on the clock, of which 40 s are those of jobs with a model.
    assert (
        "all else, and idle cores |  |  |  |  | 0.3 |"
        in (tmp_path / "floor.md").read_text()
    )
    assert bench("floor", *argv, "--precision", "bf16") == 1
    assert bench("floor", *argv[:-1], tmp_path / "none", "--precision", "fp32") == 1


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ([job("finetune", 5.0, **trained(lora=True))], "a training with LoRA"),
        ([job("finetune", 5.0, **trained(loss={"beta": 0.1}))], "a training with LoRA"),
        (
            [
                job("generate_answers", 5.0, forwarded_tokens=5, projected_tokens=1)
                | {"run": [{"threads": 1}] * 2}
            ],
            "answers made in shards",
        ),
        ([job("finetune", 5.0, **trained()) | {"device": "cuda"}], "a job on cuda"),
        # Of which its last process took 5 s
        (
            [job("finetune", 5.0, **trained(), seconds=30.0)],
            "a training that was stopped",
        ),
        (
            [job("finetune", 5.0, **trained()) | {"machine": {"cpus": 2}}],
            "jobs of another machine",
        ),
    ],
)
def test_a_floor_that_is_not_known_is_not_told(
    jobs: list[dict[str, Any]],
    said: str,
    folder: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path / "results", *jobs)
    argv = ["--weights", folder, "--out", tmp_path, "--results", tmp_path / "results"]
    assert bench("floor", *argv, "--precision", "fp32") == 1
    assert f"--results: found {said}" in capsys.readouterr().err


def test_a_floor_is_of_runs_on_cpus(
    folder: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    where = ["--device", "mps", "--precision", "fp32", "--out", str(tmp_path)]
    assert main(["bench", "floor", "--weights", str(folder), *where]) == 1
    assert "bench floor: found --device mps, allowed: cpu" in capsys.readouterr().err


def test_a_floor_is_of_one_model(
    folder: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("one", "two"):
        (tmp_path / "results" / "base" / name).mkdir(parents=True)
    argv = ["--weights", folder, "--out", tmp_path, "--results", tmp_path / "results"]
    assert bench("floor", *argv, "--precision", "fp32") == 1
    assert "--results: found 2 models" in capsys.readouterr().err


def test_rows_drawn_while_training_are_operations_too() -> None:
    online = trained(loss={"every": 1}) | {"generation_forwarded_tokens": 7}
    assert floor.operations(online, 10, 3) == 6 * (1000 * 10 + 10 * 3) + 2 * 10 * 7


@pytest.mark.slow
def test_a_shape_needs_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    small = shapes.SHAPES["mistral-7b"] | tiny | {"vocab_size": 40}
    small |= {"num_attention_heads": 4, "num_key_value_heads": 2}
    monkeypatch.setitem(shapes.SHAPES, "pythia-1b", small)
    argv = ["--shape", "pythia-1b", "--out", tmp_path, "--rows", "3", "--batch", "2"]
    sizes = ["--max-new-tokens", "5", "--max-prompt-tokens", "8"]
    assert bench("free", *argv, *sizes, repeats=1) == 0
    runs = json.loads((tmp_path / "free.json").read_text())
    assert "records" not in runs["machine"]
    assert runs["machine"]["model"].startswith("mistral")
    for timing in runs["timings"][:-1]:
        assert timing["notes"]["same"] == timing["case"]["prompts"] == 3


def _faults() -> dict[str, float]:
    """Page faults of 19 large allocations after the first, each freed at once."""
    import resource

    import numpy

    seen = []
    for _ in range(20):
        numpy.ones(2**24)
        seen.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    return {"seconds": 3.0, "faults": seen[-1] - seen[0]}


@pytest.mark.slow
def test_a_run_apart_has_the_allocator_as_it_comes() -> None:
    device = torch.device("cpu")
    kept, not_kept = (
        harness.Apart(_faults, device=device, keep=keep)() for keep in (True, False)
    )
    assert kept["seconds"] == 3.0
    assert kept["memory_mb"] > 128
    if platform.libc_ver()[0] == "glibc":
        assert kept["faults"] < not_kept["faults"] / 3


def test_losses_that_differ_are_an_error() -> None:
    timings = [harness.Timing("a", {}, 1, notes={"losses": [1.0, 2.0]})]
    timings += [harness.Timing("b", {}, 1, notes={"losses": [1.0, 2.1]})]
    with pytest.raises(UserError, match=r"losses of b and selfgen differ by 5.0e-02"):
        training.agree(timings, "fp32")


def test_median_and_ratio() -> None:
    case = {"T": 8, "batch": 2, "beta": 0.5, "temperature": 1.0}
    times = {forced.GENERATE: [8.0, 6.0, 30.0], "speculative": [2.0, 1.0, 4.0]}
    times[forced.FLOOR] = [1.0, 1.0, 1.0]
    timings = [
        harness.Timing(name, case, 16, seconds) for name, seconds in times.items()
    ]
    line = forced.page(timings).splitlines()[3].split("|")
    assert [cell.strip() for cell in line[1:10]] == [
        "speculative", "8", "2", "0.5", "1.0", "8", "4.00", "", "2.00",
    ]  # fmt: skip
