"""Choices on validation: what is chosen, what is refused, and what the tables tell of it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from selfgen.core import choices
from selfgen.core.choices import Choice, Point
from selfgen.core.errors import UserError
from selfgen.core.spec import Device, from_json, to_json
from selfgen.core.ties import TIE
from selfgen.evaluation.choice import Candidate, ChoiceSpec, best, measured
from selfgen.evaluation.statistics import paired_difference
from selfgen.report import tabulate
from selfgen.report.collect import cell_values, collect_scores
from selfgen.report.measure import main_table
from selfgen.report.registry import with_baselines
from selfgen.report.spec import Cell, Column, Reference, TableSpec
from selfgen.report.tables import main, tuning
from selfgen.training.spec import Optimization, TrainSpec
from selfgen.training.tuned import at_chosen
from selfgen.training.tuned_spec import TunedSpec

RATES = ("1e-05", "3e-05", "0.0001")
SPEC = ChoiceSpec("rougeL", tuple(map(Candidate, RATES)))


def frame(values: Sequence[float], **columns: Any) -> pd.DataFrame:
    ids = [f"v{i}" for i in range(len(values))]
    return pd.DataFrame({"id": ids, "split": "validation", "rougeL": values} | columns)


def chosen(*means: float) -> str:
    points = [Point(name, mean, 4, 1) for name, mean in zip(RATES, means, strict=False)]
    return best(points)


@pytest.mark.parametrize(
    ("means", "wanted"),
    [
        ((0.1, 0.3, 0.2), "3e-05"),
        ((0.3, 0.3, 0.3), "1e-05"),
        ((0.1, 0.3, 0.3), "3e-05"),
        # Rounding decides nothing: the lower rate of two that are equal.
        ((0.1, 0.3, 0.3 + TIE / 2), "3e-05"),
        ((0.1, 0.3, 0.3 + 2 * TIE), "0.0001"),
        # Equal to the best counts, not to one that equals it.
        ((0.3 - 1.5 * TIE, 0.3 - 0.9 * TIE, 0.3), "3e-05"),
        ((0.0, -0.5, -1.0), "1e-05"),
    ],
)
def test_the_highest_mean_and_of_equal_ones_the_first(
    means: tuple[float, ...], wanted: str
) -> None:
    assert chosen(*means) == wanted


def test_means_are_over_all_seeds_and_prompts() -> None:
    spec = ChoiceSpec("rougeL", (Candidate("base"), Candidate("sft", 2)))
    frames = [frame([0.5, 0.1]), frame([0.2, 0.4]), frame([0.6, 0.0])]
    assert measured(spec, frames) == (
        Point("base", 0.3, 2, 1),
        Point("sft", pytest.approx(0.3), 2, 2),
    )
    assert best(measured(spec, frames)) == "base"


GOOD = [frame([0.1, 0.2]), frame([0.3, 0.2]), frame([0.2, 0.2])]
WRONG: dict[str, tuple[pd.DataFrame, str]] = {
    "NaN": (frame([0.1, math.nan]), "found prompts without rougeL, by which is chosen"),
    "infinite": (frame([0.1, math.inf]), "found prompts without rougeL"),
    "no metric": (GOOD[0].drop(columns="rougeL"), "found prompts without rougeL"),
    "test": (
        frame([0.1, 0.2], split="test"),
        "found the split test, allowed: validation",
    ),
    "some test": (
        frame([0.1, 0.2], split=["validation", "test"]),
        "found the split test, validation, allowed: validation",
    ),
    "nothing": (frame([]), "found the split none, allowed: validation"),
    "fewer prompts": (frame([0.1]), "found other prompts than those of the first"),
    "other prompts": (frame([0.1, 0.2], id=["v0", "x"]), "found other prompts"),
    "a prompt twice": (
        frame([0.1, 0.2, 0.3], id=["v0", "v1", "v1"]),
        "found other prompts than those of the first candidate",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_scores_that_cannot_be_compared_are_refused(name: str) -> None:
    wrong, said = WRONG[name]
    measured(SPEC, GOOD)
    for place in range(3) if name in ("NaN", "test", "nothing") else (1, 2):
        frames = [*GOOD]
        frames[place] = wrong
        with pytest.raises(UserError, match=f"scores of {RATES[place]}: {said}"):
            measured(SPEC, frames)


def test_a_missing_file_of_scores_is_refused() -> None:
    with pytest.raises(UserError, match="scores: found 2 files, allowed: 3"):
        measured(SPEC, GOOD[:2])


# Training at the chosen rate

TRAIN = TrainSpec(
    seed=3, optimization=Optimization(learning_rate=1e-5), device=Device("cpu")
)
TUNED = TunedSpec(train=TRAIN, rates=(1e-5, 3e-5, 1e-4))


def written(path: Path, name: str, *means: float) -> Path:
    points = zip(RATES, means or (0.1, 0.2, 0.3), strict=True)
    choice = Choice("rougeL", tuple(Point(n, m, 4, 1) for n, m in points), name)
    path.write_text(choices.written(choice))
    assert choices.read(path) == choice
    return path


def test_a_run_is_at_the_chosen_rate_and_nothing_else_differs(tmp_path: Path) -> None:
    spec = from_json(TunedSpec, to_json(TUNED))
    for name in RATES:
        run = at_chosen(spec, written(tmp_path / "rate.json", name))
        assert run.optimization.learning_rate == float(name)
        same = run.optimization.model_copy(update={"learning_rate": 1e-5})
        assert replace(run, optimization=same) == TRAIN


def test_a_rate_of_no_grid_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "rate.json", "3e-05")
    spec = TunedSpec(train=TRAIN, rates=(1e-5, 1e-4))
    said = "found the learning rate 3e-05, allowed: 1e-05, 0.0001; delete it"
    with pytest.raises(UserError, match=said):
        at_chosen(spec, path)


def test_a_grid_is_no_rate() -> None:
    with pytest.raises(UserError, match="learning_rate"):
        Optimization(learning_rate=[1e-5, 1e-4])  # type: ignore[arg-type]


# Tables

LABELS = {"sft": "SFT", "sft-continued": "SFT continued", "bash": "BASH"}
COLUMNS = (
    Column("one", "test", "rougeL", "one"),
    Column("two", "test", "rougeL", "two"),
)
CANDIDATES = ("sft", "sft-continued")
REFERENCES = tuple(Reference(task, "m", CANDIDATES) for task in ("one", "two"))


def table_spec(baseline: Any, name: str = "main", cells: Any = ()) -> TableSpec[Any]:
    how = (LABELS, baseline, ("bash",), 0.95)
    return TableSpec(name, name, "tiny", COLUMNS, *how, cells, None)


def resolved(tmp_path: Path, *names: str) -> TableSpec[Any]:
    """As the table's step finds it: by the files of choices."""
    paths = []
    for i, name in enumerate(names):
        points = tuple(Point(one, 0.5, 4, 2) for one in CANDIDATES)
        paths.append(tmp_path / f"{i}.json")
        paths[-1].write_text(choices.written(Choice("rougeL", points, name)))
    return with_baselines(table_spec(REFERENCES), {"references": paths})


def data() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and runs; continued SFT lies below SFT, from which it starts, in both tasks."""
    rng = np.random.default_rng(1)
    parts = []
    for task in ("one", "two"):
        for method in LABELS:
            for seed in range(3):
                cell = {"task": task, "model": "m", "method": method, "seed": seed}
                above = 0.0 if method == "sft-continued" else 0.5
                values = frame(above + rng.random(12) / 2, split="test")
                parts.append((cell | {"decoding": "direct"}, values))
    runs = [
        {"task": task, "model": "m", "method": method, "seed": seed}
        | {"parent": "sft" if method != "sft" else math.nan, "steps": 1}
        | {"labelled_tokens": 1, "forwarded_tokens": 1}
        | {"changed_share": math.nan, "right_drafts_share": math.nan}
        for task in ("one", "two")
        for method in LABELS
        for seed in range(3)
    ]
    return collect_scores(parts), pd.DataFrame(runs)


def test_each_task_is_compared_with_its_own_reference(tmp_path: Path) -> None:
    spec = resolved(tmp_path, "sft", "sft-continued")
    scores, runs = data()
    table = main_table(scores, runs, spec)
    for column, base in enumerate(("sft", "sft-continued")):
        task = COLUMNS[column].task
        for line in table.rows:
            score = line.scores[column]
            assert score
            assert (score.difference is None) == (line.method == base)
            if score.difference:
                after, before = (
                    cell_values(
                        scores[(scores["task"] == task) & (scores["method"] == method)],
                        "rougeL",
                    )
                    for method in (line.method, base)
                )
                names = (task, "test", "rougeL", "m", line.method, "direct")
                assert score.difference == paired_difference(after, before, 0.95, names)
                assert score.primary == (line.method == "bash")
    ((pair, where),) = table.fallen.items()
    assert pair == ("sft-continued", "sft")
    assert set(where) == {"two"}, "where it is the baseline"
    text = main.draw(scores, runs, spec).texts()["md"]
    assert "▲ (▼): better (worse) than the baseline: " in text
    assert (
        "The baseline is the best on validation of SFT, SFT continued (table tuning): one:"
        " SFT; two: SFT continued."
    ) in text


def test_the_table_of_choices_without_any_learning_rate(tmp_path: Path) -> None:
    """Of a grid that is empty, Snakemake passes no file and no name."""
    resolved(tmp_path, "sft", "sft-continued")
    files = {"references": [tmp_path / "0.json", tmp_path / "1.json"]}
    spec = table_spec(REFERENCES, "tuning")
    text = tabulate.texts(spec, files)["md"]
    assert "SFT continued" in text and "one" in text


def test_one_reference_for_all_tasks_is_called_by_its_name(tmp_path: Path) -> None:
    """And all numbers are those of a configuration that names it."""
    scores, runs = data()
    chosen, named = resolved(tmp_path, "sft", "sft"), table_spec("sft")
    drawn = [main.draw(scores, runs, spec) for spec in (chosen, named)]
    assert drawn[0].lines == drawn[1].lines
    text = drawn[0].texts()["md"]
    assert "▲ (▼): better (worse) than SFT: " in text
    kept = [line for line in text.splitlines() if "table tuning" not in line]
    assert kept == drawn[1].texts()["md"].splitlines()


def test_a_table_is_drawn_again_from_the_spec_that_it_was_drawn_with(
    tmp_path: Path,
) -> None:
    spec = resolved(tmp_path, "sft", "sft-continued")
    again = from_json(TableSpec, to_json(spec))
    assert with_baselines(again, {}).baseline == spec.baseline
    with pytest.raises(UserError, match="--input references=PATH is missing"):
        with_baselines(table_spec(REFERENCES), {})


def test_the_table_of_choices(tmp_path: Path) -> None:
    """A rate in the middle of its grid, one at its edge, and one of three that are equal."""
    cells = tuple(
        Cell(task, "m", method, "validation", 0)
        for task, method in (("one", "sft-continued"), ("one", "bash"), ("two", "bash"))
    )
    means = ((0.1, 0.3, 0.2), (0.1, 0.2, 0.3), (0.2, 0.2, 0.2))
    rates = [
        choices.read(written(tmp_path / "rate.json", chosen(*three), *three))
        for three in means
    ]
    short = replace(rates[1], candidates=rates[1].candidates[1:])
    points = (Point("sft", 0.25, 4, 2), Point("sft-continued", 0.5, 4, 2))
    references = [Choice("rougeL", points, "sft-continued")] * 2
    spec = replace(
        resolved(tmp_path, "sft-continued", "sft-continued"), cells=cells, name="tuning"
    )
    drawn = tuning.draw([rates[0], short, rates[2]], references, spec)
    texts = drawn.texts()
    lines = texts["md"].splitlines()
    assert [line for line in lines if line.startswith("| one") or "| two" in line] == [
        "| one | SFT continued | ROUGE-L | 10.0 | **30.0** | 20.0 | 4 | 3e-05 |",
        "| one | BASH | ROUGE-L | — | 20.0 | **30.0** | 4 | 0.0001 (edge) |",
        "| two | BASH | ROUGE-L | **20.0** | 20.0 | 20.0 | 4 | 1e-05 (equal) |",
        "| one | ROUGE-L | 25.0 | **50.0** | 4 | SFT continued |",
        "| two | ROUGE-L | 25.0 | **50.0** | 4 | SFT continued |",
    ]
    assert "widen the grid: BASH on one, 0.0001." in texts["md"]
    rows = list(csv.DictReader(io.StringIO(texts["csv"])))
    assert len(rows) == 3 + 2 + 3 + 2 * 2
    found = [
        (r["task"], r["candidate"], r["remark"]) for r in rows if r["chosen"] == "1"
    ]
    assert found == [
        ("one", "3e-05", ""),
        ("one", "0.0001", "edge"),
        ("two", "1e-05", "equal"),
        ("one", "sft-continued", ""),
        ("two", "sft-continued", ""),
    ]
