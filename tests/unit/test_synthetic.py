"""Synthetic experiments: training, readings, what is kept, and when a base fails."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from selfgen.config.synthetic import Synthetic, load
from selfgen.core.errors import UserError
from selfgen.core.spec import from_json, to_json
from selfgen.graph import synthetic
from selfgen.synthetic.run import FILES, Experiment
from selfgen.synthetic.spec import SyntheticSpec

RAW = yaml.safe_load(
    (Path(__file__).parents[1] / "workflow" / "synthetic.yaml").read_text()
)
SHIPPED = yaml.safe_load(
    (Path(__file__).parents[2] / "config" / "synthetic.yaml").read_text()
)


def spec(*methods: str, **edits: Any) -> SyntheticSpec:
    """The tiny experiment under seed 0, with some of its methods."""
    raw = copy.deepcopy(RAW)
    raw["experiments"]["words"] |= edits
    found = synthetic.spec(load(raw), "words", 0)
    kept = tuple(n for n in found.variants if not methods or n.declared in methods)
    return replace(found, variants=kept)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Path]:
    """All methods of the tiny experiment, trained and read."""
    scratch = tmp_path_factory.mktemp("scratch")
    experiment = Experiment(spec(), scratch)
    experiment.run()
    return experiment, scratch


def test_every_method_is_read(done: tuple[Experiment, Path]) -> None:
    scores = done[0].tables()["scores"]
    found = set(zip(scores["method"], scores["decoding"], strict=True))
    methods = RAW["experiments"]["words"]["methods"]
    assert found == {
        (name, decoding)
        for name, keys in methods.items()
        for decoding in keys.get("decodings", ["direct"])
        if name != "base"
    }
    # Plain SFT can be asked for a correction too, and a corrected answer again.
    assert {("sft", "corrected"), ("rac", "corrected-2")} < found
    assert (scores.groupby(["method", "decoding"]).size() == 16).all()


def test_positions_add_up_to_the_scores(done: tuple[Experiment, Path]) -> None:
    tables = done[0].tables()
    key = ["method", "decoding", "items"]
    columns = ["n", "forced_wrong", "free_wrong", "after_error", "recovered"]
    sums = [
        tables[name].groupby(key)[columns].sum() for name in ("scores", "positions")
    ]
    assert sums[0].equals(sums[1])


def test_a_control_takes_the_pass_of_what_it_controls(
    done: tuple[Experiment, Path],
) -> None:
    facts = done[0].facts()
    for key in ("generated_tokens", "changed_tokens", "generation_seconds"):
        assert facts["random"][key] == facts["bash"][key]
    for key in ("steps", "labelled_tokens", "forwarded_tokens"):
        assert facts["random"][key] == facts["bash"][key] == facts["sft-continued"][key]


def test_correction_rows_on_top_keep_steps_and_plain_labels(
    done: tuple[Experiment, Path],
) -> None:
    facts = done[0].facts()
    added, plain = facts["rac-added"], facts["sft-continued"]
    assert added["steps"] == plain["steps"]
    assert plain["labelled_tokens"] < added["labelled_tokens"]
    assert added["labelled_tokens"] < 2 * plain["labelled_tokens"]


def test_bash_can_start_from_the_base(done: tuple[Experiment, Path]) -> None:
    """The random weights draw its tokens: nearly all of them are wrong."""
    experiment, _ = done
    (variant,) = (v for v in experiment.spec.variants if v.name == "bash-base")
    assert (variant.parent, variant.generator) == (None, None)
    facts = experiment.facts()["bash-base"]
    for key in ("steps", "labelled_tokens", "forwarded_tokens"):
        assert facts[key] == experiment.facts()["sft"][key]
    assert facts["changed_tokens"] > 0.9 * facts["drawn_tokens"] > 0


def test_what_is_drawn_online_costs_as_a_pass_does(
    done: tuple[Experiment, Path],
) -> None:
    facts = done[0].facts()
    online, bash = facts["online"], facts["bash"]
    for key in ("steps", "labelled_tokens", "forwarded_tokens", "generated_tokens"):
        assert online[key] == bash[key]
    assert 0 < online["changed_tokens"] <= online["drawn_tokens"]
    assert online["drawn_tokens"] == bash["drawn_tokens"], "the same places"
    assert online["generation_seconds"] > 0


def test_rounds_share_the_steps(done: tuple[Experiment, Path]) -> None:
    facts = done[0].facts()
    steps = [facts[name]["steps"] for name in ("rounds.r1", "rounds")]
    assert sum(steps) == facts["sft-continued"]["steps"] == 3
    assert "rounds.r1" not in set(done[0].tables()["scores"]["method"])


def test_one_schedule_takes_the_rows_of_both_stages(
    done: tuple[Experiment, Path],
) -> None:
    facts = done[0].facts()
    for key in ("steps", "labelled_tokens", "forwarded_tokens"):
        both = facts["sft"][key] + facts["sft-continued"][key]
        assert facts["sft-whole"][key] == both


def test_fresh_rows_are_not_those_of_the_base() -> None:
    stages = copy.deepcopy(RAW["experiments"]["words"]["stages"])
    experiment = Experiment(spec("sft", "bash", stages=stages), None)
    base, bash = experiment.spec.variants
    assert (base.rows.rows, bash.rows.rows) == ((0, 48), (48, 96))
    experiment.run()
    facts = experiment.facts()
    assert facts["bash"]["steps"] == facts["sft"]["steps"] == 3
    passed, _ = experiment.passes.popitem()[1]
    ids = {row["id"] for row in passed}
    assert ids == {example.id for example in experiment.examples[48:]}


def test_wall_time_is_that_of_pass_and_training(done: tuple[Experiment, Path]) -> None:
    facts = done[0].facts()
    for one, other in (("bash", "sft-wall"), ("online", "online-wall")):
        method, wall = facts[one], facts[other]
        seconds = method["seconds"] + method["generation_seconds"]
        tokens = method["forwarded_tokens"] * seconds / method["seconds"]
        longest = wall["forwarded_tokens"] / wall["steps"] * 2
        assert tokens <= wall["forwarded_tokens"] < tokens + longest


def test_curves_are_read_where_they_are_asked(done: tuple[Experiment, Path]) -> None:
    curves = done[0].tables()["curves"]
    assert curves.groupby("method")["step"].apply(list).to_dict() == {
        "bash": [1, 2, 3],
        "sft-continued": [1, 2, 3],
    }


def test_finished_variants_are_kept(done: tuple[Experiment, Path]) -> None:
    """A second run trains nothing, and finds the same weights and the same numbers."""
    first, scratch = done
    before = {path: path.stat().st_mtime_ns for path in scratch.rglob("*")}
    again = Experiment(spec(), scratch)
    again.run()
    assert {path: path.stat().st_mtime_ns for path in scratch.rglob("*")} == before
    assert again.facts() == first.facts()
    for name in FILES:
        assert again.tables()[name].equals(first.tables()[name])
    for name, found in first.finished.items():
        for key, value in found.weights.items():
            assert torch.equal(value, again.finished[name].weights[key]), (name, key)


def test_a_kept_variant_that_is_damaged_is_trained_anew(
    done: tuple[Experiment, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A flipped bit of its weights would be those of another model, in any other file other
    numbers."""
    first, kept = done
    digest = first.digests["bash"]
    for name in sorted(path.name for path in (kept / digest).iterdir()):
        scratch = tmp_path / name
        shutil.copytree(kept, scratch)
        path = scratch / digest / name
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        caplog.clear()
        again = Experiment(spec("sft", "bash"), scratch)
        again.run()
        (said,) = (r.message for r in caplog.records if " is damaged" in r.message)
        assert said.startswith(f"{scratch / digest} is damaged")
        for key, value in first.finished["bash"].weights.items():
            assert torch.equal(value, again.finished["bash"].weights[key]), key
        caplog.clear()
        Experiment(spec("sft", "bash"), scratch).run()
        assert "is damaged" not in caplog.text, "it is kept again"


def test_a_variant_whose_weights_break_is_not_kept(tmp_path: Path) -> None:
    found = spec("sft")
    (variant,) = found.variants
    keys = variant.train.optimization.model_copy(update={"learning_rate": 1e39})
    variant = replace(
        variant, stop=None, train=replace(variant.train, optimization=keys)
    )
    experiment = Experiment(replace(found, variants=(variant,)), tmp_path)
    with pytest.raises(UserError, match=r"^experiments\.words: sft: training: "):
        experiment.run()
    assert list(tmp_path.iterdir()) == []


def test_a_new_beta_costs_one_variant(done: tuple[Experiment, Path]) -> None:
    _, scratch = done
    before = set(scratch.iterdir())
    methods = copy.deepcopy(RAW["experiments"]["words"]["methods"])
    methods["bash-75"] = methods["bash"] | {"label": "BASH .75", "beta": 0.75}
    changed = Experiment(spec(methods=methods), scratch)
    changed.run()
    assert len(set(scratch.iterdir()) - before) == 1


def test_the_same_numbers_without_a_scratch_folder(
    done: tuple[Experiment, Path],
) -> None:
    """Kept or not, alone or among others: a variant is a function of its spec."""
    few = Experiment(spec("sft", "bash"), None)
    few.run()
    scores = done[0].tables()["scores"]
    expected = scores[scores["method"].isin(["sft", "bash"])].reset_index(drop=True)
    assert few.tables()["scores"].equals(expected)


def test_a_seed_decides_the_weights_and_not_the_records() -> None:
    a, b = (
        Experiment(replace(spec(), seed=s, model=replace(spec().model, seed=s)), None)
        for s in (0, 1)
    )
    assert a.examples == b.examples
    assert not torch.equal(*(next(r.model.parameters()) for r in (a, b)))


def test_nothing_is_said_of_a_base_that_has_failed() -> None:
    stop = {"method": "sft", "exact": 1.0, "every": 2}
    experiment = Experiment(spec(stop=stop), None)
    experiment.run()
    assert experiment.facts()["sft"]["failed"] is True
    apart = {"sft-whole", "bash-base"}  # They start from the random weights.
    assert set(experiment.facts()) == {"sft"} | apart
    for frame in experiment.tables().values():
        assert frame.empty or set(frame["method"]) == apart


def test_training_ends_when_the_base_knows_enough() -> None:
    stop = {"method": "sft", "exact": 0.0, "every": 2}
    experiment = Experiment(spec("sft", "bash", stop=stop), None)
    experiment.run()
    assert experiment.facts()["sft"]["steps"] == 2
    assert experiment.facts()["sft"]["failed"] is False
    assert "bash" in experiment.facts()


@pytest.mark.parametrize("name", list(SHIPPED["experiments"]))
def test_specs_of_the_shipped_configuration_survive_the_command_line(name: str) -> None:
    found = synthetic.spec(load(SHIPPED), name, 3)
    assert from_json(SyntheticSpec, to_json(found)) == found
    names = [variant.name for variant in found.variants]
    for i, variant in enumerate(found.variants):
        needs = {variant.parent, variant.generator, variant.match_wall_time} - {None}
        assert needs <= set(names[:i]), variant.name


def test_which_methods_are_on_the_beta_axis() -> None:
    found = synthetic.tables(load(SHIPPED)).experiments[0]
    assert found.dose() == ["bash-10", "bash", "bash-50", "bash-75"]
    assert found.controls == {
        "bash-10": "random-10",
        "bash": "random",
        "bash-50": "random-50",
        "bash-75": "random-75",
    }
    assert found.shown() == ("sft-continued", *found.dose(), "random")
    assert found.middle() == ("sft-continued", "bash", "random")
    assert not {"sft", "sft-continued", "sft-long", "bash-long"} & set(found.compared)
    assert {"spin", "rac", "sft-wall", "bash-10"} <= set(found.compared)
    plain = {("bash", "sft-wall"), ("bash-base", "sft"), ("bash-long", "sft-long")}
    rounds = {(name, "sft-rounds") for name in ("bash-rounds", "rounds-rising")}
    controls = {
        *found.controls.items(),
        ("bash-long", "random-long"),
        ("random-long", "sft-long"),
        ("bash", "masked"),
    }
    knobs = (
        "onepass greedy span two-pass bash-rounds online online-10 behind kept aligned"
    )
    at_half = "half linear exponential inverse-sigmoid falling rounds-rising"
    assert set(found.pairs) == {
        *(plain | rounds | controls),
        *((name, "bash") for name in knobs.split()),
        *((name, "bash-50") for name in at_half.split()),
        ("aligned", "span"),
    }
    chains = synthetic.tables(load(SHIPPED)).experiments[1]
    assert {("realigned", "bash"), ("realigned-50", "bash-50")} <= set(chains.pairs)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("task/dataset", "qa", ["words.task.dataset", "'qa'", "allowed: chains"]),
        ("model/characters", None, ["words.model.characters", "required"]),
        ("baseline", "sftt", ["words.baseline", "nearest: sft"]),
        ("curves/methods", ["bsh"], ["curves.methods", "nearest: bash"]),
        ("primary", {"methods": ["bsh"]}, ["primary.methods", "nearest: bash"]),
        ("primary", {"measure": "exat"}, ["primary.measure", "exact"]),
        ("stop", {"method": "x", "exact": 0.5, "every": 9}, ["stop.method", "'x'"]),
        ("methods/bash/bta", 0.5, ["methods.bash.bta", "nearest: beta"]),
        (
            "methods/random/control_for",
            "sft",
            ["words.methods.random.control_for", "'sft'"],
        ),
        ("methods/bash/mix", "dpo", ["methods.bash", "dpo"]),
        ("lable", "x", ["words.lable: unknown key", "nearest: label"]),
    ],
)
def test_mistakes_end_in_one_line(path: str, value: Any, words: list[str]) -> None:
    raw = copy.deepcopy(RAW)
    node = raw["experiments"]["words"]
    *parents, key = path.split("/")
    for part in parents:
        node = node[part]
    node[key] = value
    with pytest.raises(UserError) as caught:
        load(raw)
    assert len(str(caught.value).splitlines()) == 1
    for word in ["config: experiments.words", *words]:
        assert word in str(caught.value)


def test_a_configuration_without_seeds_or_with_one_twice() -> None:
    for seeds in ([], [1, 1]):
        with pytest.raises(UserError, match="seeds"):
            load(RAW | {"seeds": seeds})
    assert isinstance(load(RAW), Synthetic)


def _frames() -> tuple[Any, Any]:
    """Two seeds, two items: SFT is wrong at 4 of 8 positions running freely and at 2
    forced; BASH at 3 and at 3."""
    import pandas as pd

    from selfgen.report.synthetic.numbers import with_errors

    rows = []
    for method, free, forced, exact in (("sft", 4, 2, 0), ("bash", 3, 3, 1)):
        for seed in (0, 1):
            for item in ("a", "b"):
                rows.append(
                    {
                        **{
                            "experiment": "w",
                            "seed": seed,
                            "method": method,
                            "id": item,
                        },
                        **{"decoding": "direct", "items": 8, "exact": exact, "n": 8},
                        **{"free_wrong": free, "forced_wrong": forced, "tokens": 8},
                        **{"after_error": 4, "recovered": 1, "similarity": 0.5},
                        **{"nll": 1.0, "edited": 0.0},
                    }
                )
    costs = {"experiment": "w", "failed": 0, "steps": 3, "generated_tokens": 80}
    runs = [
        costs | {"seed": s, "method": m, "changed_tokens": c}
        for m, c in (("sft", 0), ("bash", 20))
        for s in (0, 1)
    ]
    runs.append(costs | {"seed": 2, "method": "sft", "changed_tokens": 0, "failed": 1})
    return with_errors(pd.DataFrame(rows)), pd.DataFrame(runs)


def test_numbers_by_hand() -> None:
    from selfgen.report.synthetic import tables
    from selfgen.report.synthetic.numbers import numbers
    from selfgen.report.synthetic.spec import ExperimentSpec

    scores, runs = _frames()
    labels = {"sft": "SFT", "bash": "BASH"}
    experiment = ExperimentSpec(
        *("w", "Words", "sft", ("sft", "bash"), labels, {"bash": 0.5}, {}),
        *(("bash",), (), (), ("bash",), "excess"),
    )
    found = numbers(scores, runs, experiment, 0.95)
    sft, bash = (found.lines[m, "direct"] for m in ("sft", "bash"))
    means = {m: cell.mean.value for m, cell in sft.cells.items()}
    assert means["free_error"] == 0.5 and means["forced_error"] == 0.25
    assert means["excess"] == 0.25 and bash.cells["excess"].mean.value == 0
    difference = bash.cells["excess"].difference
    assert difference.value == -0.25 and difference.equal
    assert (
        bash.cells["nll"].difference is None and sft.cells["excess"].difference is None
    )
    assert bash.recovery.value == 0.25
    assert (sft.corruption, bash.corruption) == (None, 0.25)
    assert found.failed == (2,)
    primary = {m for m, cell in bash.cells.items() if cell.primary}
    assert primary == {"excess"} and not any(c.primary for c in sft.cells.values())
    lines = tables.by_seed(scores, [found]).splitlines()
    assert lines[3].startswith("w,bash,direct,0,1.000000,0.375000,0.375000,0.000000,")
    assert lines[3].endswith(",1.000000,-0.125000,0.125000,-0.250000")


def test_interval_over_seeds() -> None:
    """Mean 2, standard deviation 1, three seeds: t = 4.3027 with two degrees of freedom."""
    from selfgen.report.synthetic.numbers import seeds_interval

    found = seeds_interval([1.0, 2.0, 3.0], 0.95)
    assert found.value == 2
    assert found.high - 2 == pytest.approx(4.30265 / 3**0.5, rel=1e-5)
    one = seeds_interval([5.0], 0.95)
    assert (one.low, one.value, one.high) == (5, 5, 5)
