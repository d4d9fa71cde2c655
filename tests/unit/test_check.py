"""What ``selfgen check`` refuses before anything runs, and steps before they allocate."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tests.flow import REPO

from selfgen.cli.main import main
from selfgen.config import files, load
from selfgen.config.synthetic import load as load_synthetic
from selfgen.core import memory
from selfgen.core.errors import UserError
from selfgen.core.spec import Device, Sampling, from_json
from selfgen.core.types import MAX_SEED
from selfgen.data.dataset import RecordsSpec
from selfgen.generation import free
from selfgen.generation.decoding import Prompt
from selfgen.generation.spec import AnswersSpec
from selfgen.graph import sizes
from selfgen.graph.steps import Graph
from selfgen.mixing.order import plan_steps
from selfgen.models import loading
from selfgen.models.base import ModelSpec, create, prepare, tokenizer_of
from selfgen.models.sizes import parameters, token_bytes
from selfgen.tasks.build import build
from selfgen.training.causal import train
from selfgen.training.spec import Lora, Optimization, TrainSpec

SMALL = yaml.safe_load((REPO / "tests" / "workflow" / "small.yaml").read_text())
SYNTHETIC = yaml.safe_load((REPO / "tests" / "workflow" / "synthetic.yaml").read_text())
GB = 10**9
ARCHITECTURE = SMALL["models"]["tiny"]["architecture"]
TINY = ModelSpec("random", None, "{{ messages }}", "llama", ARCHITECTURE)


def changed(raw: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one other value."""
    raw = deepcopy(raw)
    node = raw
    *parents, last = path.split("/")
    for key in parents:
        node = node.setdefault(key, {})
    node[last] = value
    return raw


def refused(raw: dict[str, Any]) -> str:
    """The one line with which a configuration is refused."""
    with pytest.raises(UserError) as said:
        (load_synthetic if "experiments" in raw else load)(raw)
    (line,) = str(said.value).splitlines()
    return line


# Seeds


@pytest.mark.parametrize("seeds", [[-1], [2**32], [0, 0], list(range(1001))])
@pytest.mark.parametrize("path", ["seeds", "tasks/descriptions/seeds"])
def test_seeds_that_are_none(path: str, seeds: list[int]) -> None:
    line = refused(changed(SMALL, path, seeds))
    assert line.startswith(f"config: {path.replace('/', '.')}")
    assert len(line) < 200


@pytest.mark.parametrize("seeds", [[-1], [2**32], [0, 0]])
def test_seeds_of_synthetic_experiments_that_are_none(seeds: list[int]) -> None:
    assert refused(changed(SYNTHETIC, "seeds", seeds)).startswith("config: seeds")


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_of_weights_that_are_none(seed: int) -> None:
    assert "models.tiny.seed: " in refused(changed(SMALL, "models/tiny/seed", seed))
    with pytest.raises(UserError, match=r"^ModelSpec.seed: found "):
        replace(TINY, seed=seed)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_of_a_spec_that_are_none(seed: int) -> None:
    spec = Graph(load(SMALL)).answers("descriptions", "bash", "direct", 0)
    with pytest.raises(UserError, match=r"^AnswersSpec.seed: found "):
        replace(spec, seed=seed)
    text = f'{{"seed": {seed}}}'
    with pytest.raises(UserError, match="--spec: not a AnswersSpec: "):
        from_json(AnswersSpec, text)


def test_the_largest_seed_is_taken(tmp_path: Path) -> None:
    """By what makes weights and by what trains, as by the configuration."""
    assert load(changed(SMALL, "seeds", [MAX_SEED])).seeds == [MAX_SEED]
    model, _ = create(replace(TINY, seed=MAX_SEED))
    rows = [
        {
            **{"step": 0, "id": "a", "epoch": 0, "input_ids": [1, 2, 3]},
            **{"labels": [-100, 2, 3], "attention_mask": [1, 1, 1]},
        }
    ]
    spec = TrainSpec(
        seed=MAX_SEED,
        optimization=Optimization(learning_rate=1e-3),
        device=Device("cpu", "fp32"),
    )
    _, outcome = train(model, rows, spec)
    assert outcome.curve


# Files


def bomb(levels: int, item: str) -> str:
    lines = [
        "x0: &x0 " + ("{a: 1}" if "<<" in item else "[" + ", ".join("123456789") + "]")
    ]
    for i in range(1, levels + 1):
        lines.append(f"x{i}: &x{i} " + item.replace("*", ", ".join([f"*x{i - 1}"] * 9)))
    return "\n".join(lines) + "\n"


BROKEN = {
    "aliases": (bomb(9, "[*]"), "found aliases that stand for more than 1,000,000"),
    "merged": (bomb(9, "{<<: [*]}"), "found aliases that stand for more than"),
    "itself": ("a: &a [1, *a]\n", "a: found the anchor of line 1 in itself"),
    "itself below": (
        "a: &a {b: {c: *a}}\n",
        "a.b.c: found the anchor of line 1 in itself",
    ),
    "nested": (
        "a: " + "[" * 5000 + "]" * 5000,
        "found too many sections in each other",
    ),
    "latin-1": (
        "a: b\nc: \u00e4\n".encode("latin-1"),
        "line 2: found bytes that are no UTF-8",
    ),
    "utf-16": ("a: b\n".encode("utf-16"), "line 1: found bytes that are no UTF-8"),
    "no yaml": ("a: [1\nb: }\n", "is no YAML: "),
    "no such tag": ("a: !b c\n", "is no YAML: could not determine a constructor"),
    "no such day": ("a: 2026-13-45\n", "is no YAML: month must be in 1..12"),
    "a key of keys": ("? [1, 2]\n: 3\n", "is no YAML: while constructing a mapping"),
    "no integer": (f"a: {'9' * 5000}\n", "is no YAML: Exceeds the limit"),
    "a list": ("[1]\n", "found no keys"),
    "empty": ("", "found no keys"),
    "twice": ("a: 1\na: 2\n", "a: found twice, in lines 1 and 2"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_is_none_ends_in_one_line_at_once(
    tmp_path: Path, case: str
) -> None:
    text, expected = BROKEN[case]
    path = tmp_path / "broken.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    started = time.process_time()
    with pytest.raises(UserError) as said:
        files.read(path)
    (line,) = str(said.value).splitlines()
    assert "broken.yaml: " in line and expected in line
    assert time.process_time() - started < 10


def test_aliases_that_stand_for_little_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(bomb(3, "[*]") + "a: &a {b: 1}\nc: {<<: *a, d: 2}\n")
    assert files.read(path)["c"] == {"b": 1, "d": 2}


DAMAGED = {
    "model_type": ("config.json", b'{"model_type": "nonsense"}'),
    "a number": ("config.json", b'{"model_type": "llama", "num_hidden_layers": "x"}'),
    "half": ("config.json", b'{"model_type": '),
    "latin-1": ("config.json", '{"a": "\u00e4"}'.encode("latin-1")),
    "utf-16": ("config.json", '{"a": 1}'.encode("utf-16")),
    "list": ("config.json", b"[1]"),
    "tokenizer": ("tokenizer.json", b'{"a":'),
    "no tokenizer": ("tokenizer.json", b"[]"),
    "of the tokenizer": ("tokenizer_config.json", b"{"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "model"
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    prepare(replace(TINY, chat_template=template), None, out)
    return out


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_file_of_a_model_is_named(
    folder: Path, tmp_path: Path, case: str
) -> None:
    name, content = DAMAGED[case]
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_bytes(content)
    calls = [lambda: tokenizer_of(ModelSpec("folder"), tmp_path, tmp_path)]
    if name == "config.json":
        calls += [lambda: loading.load(tmp_path), lambda: loading.skeleton(tmp_path)]
    for call in calls:
        with pytest.raises(UserError) as said:
            call()
        (line,) = str(said.value).splitlines()
        assert line.startswith(f"{tmp_path / name}: ")


# Sizes

HUGE = {
    "tasks/descriptions/max_new_tokens": 10**8,
    "tasks/descriptions/max_prompt_tokens": 10**8,
    "tasks/descriptions/train_rows": 10**8,
    "tasks/descriptions/validation_rows": 10**8,
    "tasks/descriptions/test_rows": 10**8,
    "stages/sft/epochs": 10**9,
    "stages/sft/lora": {"rank": 10**9},
    "models/tiny/architecture/hidden_size": 10**6,
    "models/tiny/architecture/intermediate_size": 10**9,
    "models/tiny/architecture/num_hidden_layers": 10**7,
}


@pytest.mark.parametrize("path", HUGE)
def test_a_size_that_no_machine_has_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    path: str,
) -> None:
    """In one line that says the key, its value, what it takes and what there is."""
    monkeypatch.chdir(tmp_path)  # and back: the verb goes where the run lies
    value = HUGE[path]
    (tmp_path / "huge.yaml").write_text(yaml.safe_dump(changed(SMALL, path, value)))
    run = ["check", str(tmp_path / "huge.yaml"), "--directory", str(tmp_path)]
    assert main([*run, "--memory", "20"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    key = path.replace("/", ".") + (".rank" if path.endswith("lora") else "")
    number = value["rank"] if isinstance(value, dict) else value
    assert line.startswith(f"error: config: {key}: found {number}: ")
    assert line.endswith(" of memory, there are 20.0 GB")


def test_many_seeds_of_many_methods_are_refused() -> None:
    raw = changed(SMALL, "seeds", list(range(1000)))
    one = raw["methods"]["bash"]
    raw["methods"] |= {
        f"bash-{i}": one | {"label": f"B {i}", "beta": i / 2000} for i in range(2000)
    }
    with pytest.raises(
        UserError, match=r"^config: seeds: found 1000: a graph of 2004000 "
    ):
        sizes.check(Graph(load(raw)), 20 * GB)


def test_long_answers_of_an_oracle_are_refused() -> None:
    raw = changed(SMALL, "evaluation/oracle", {"method": "sft", "lengths": [8, 10**9]})
    with pytest.raises(
        UserError, match=r"^config: evaluation.oracle.lengths: found 1000000000"
    ):
        sizes.check(Graph(load(raw)), 20 * GB)


def test_more_requests_at_a_time_than_there_may_be_threads_are_refused() -> None:
    judge = {"kind": "endpoint", "model": "m", "concurrency": 10**6, "budget": 1.0}
    judge |= {"input_price": 1.0, "output_price": 1.0}
    line = refused(changed(SMALL, "judges/big", judge))
    assert line.startswith("config: judges.big.concurrency: found 1000000, allowed: ")


def test_many_candidates_are_refused() -> None:
    raw = changed(SMALL, "methods/dpo", {"label": "DPO", "mix": "dpo", "parent": "sft"})
    raw["methods"]["dpo"] |= {"stage": "second", "candidates": 10**8}
    with pytest.raises(
        UserError, match=r"^config: methods.dpo.candidates: found 100000000: "
    ):
        sizes.check(Graph(load(raw)), 20 * GB)


def test_sizes_of_synthetic_experiments_have_their_keys() -> None:
    (name, *_) = SYNTHETIC["experiments"]
    raw = changed(SYNTHETIC, f"experiments/{name}/task/max_new_tokens", 10**9)
    where = f"config: experiments.{name}.task.max_new_tokens: found 1000000000: "
    with pytest.raises(UserError, match=f"^{where}"):
        sizes.check(load_synthetic(raw), 20 * GB)


@pytest.mark.parametrize("path", sorted((REPO / "config").glob("*.yaml")))
def test_shipped_configurations_fit_a_small_machine(path: Path) -> None:
    raw = yaml.safe_load(path.read_text())
    if "experiments" in raw:
        sizes.check(load_synthetic(raw), 8 * GB)
    elif "methods" in raw:
        sizes.check(Graph(load(raw), REPO), 8 * GB)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_estimates_are_low(dtype: torch.dtype) -> None:
    """Of the parameters of a model as of the cache of a row."""
    model = create(TINY)[0].to(dtype)
    config = model.config.to_dict()
    whole = model.num_parameters()
    assert whole / 2 < parameters(config) <= whole
    cache = model(torch.zeros((1, 10), dtype=torch.int64)).past_key_values
    pair = cache.layers[0]
    bytes_ = (pair.keys.nbytes + pair.values.nbytes) * len(cache.layers) / 10
    assert bytes_ <= token_bytes(config, dtype.itemsize) <= bytes_ + 100
    assert token_bytes(config) <= bytes_ + 100


def test_memory_of_this_machine_is_known() -> None:
    assert 10**8 < memory.available() <= memory.total()
    memory.ask("here", "a byte", 1, "less")
    with pytest.raises(
        UserError, match=r"^here: a lot takes [\d,.]+ GB of memory, .*; less$"
    ):
        memory.ask("here", "a lot", 2 * memory.total(), "less")


def test_an_answer_that_fits_nowhere_is_refused_before_it_is_begun(
    folder: Path,
) -> None:
    """A hundred million tokens drove a machine out of memory."""
    from selfgen.data.prompts import load_tokenizer

    made = free.complete(
        loading.load(folder).eval(),
        load_tokenizer(folder),
        [Prompt("q", 0, [5, 6])],
        Sampling(),
        seed=0,
        max_new_tokens=10**10,
    )
    with pytest.raises(
        UserError, match=r"^generation: one row of 10000000002 tokens takes "
    ):
        next(made)


def test_a_plan_that_fits_nowhere_is_refused_before_it_is_made() -> None:
    with pytest.raises(
        UserError, match=r"^epochs: a plan of 1000000000000 rows takes "
    ):
        plan_steps(["a"], [1], epochs=10**12, batch_size=1, seed=0)


def test_records_that_fit_nowhere_are_refused_before_they_are_made() -> None:
    spec = RecordsSpec("t", "chains", {"train": 10**12})
    with pytest.raises(
        UserError, match=r"^task t: a list of 1000000000000 records takes "
    ):
        build(spec, {})


@pytest.mark.parametrize("key", ["num_hidden_layers", "intermediate_size"])
def test_a_model_that_fits_nowhere_is_refused_before_it_is_made(key: str) -> None:
    huge = ARCHITECTURE | {key: 10**10}
    with pytest.raises(
        UserError, match=r"^architecture: a model of such layers takes "
    ):
        create(replace(TINY, architecture=huge))


def test_adapters_that_fit_nowhere_are_refused_before_they_are_made() -> None:
    model, _ = create(TINY)
    spec = TrainSpec(
        seed=0,
        optimization=Optimization(learning_rate=1e-3, lora=Lora(rank=10**10)),
        device=Device("cpu", "fp32"),
    )
    rows = [
        {
            **{"step": 0, "id": "a", "epoch": 0, "input_ids": [1, 2, 3]},
            **{"labels": [-100, 2, 3], "attention_mask": [1, 1, 1]},
        }
    ]
    with pytest.raises(
        UserError, match=r"^lora.rank: adapters of rank 10000000000 takes "
    ):
        train(model, rows, spec)
