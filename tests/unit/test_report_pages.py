"""Collecting, the details, cost and samples pages, and the figures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from selfgen.evaluation.text import SHAPE
from selfgen.report import figures, style
from selfgen.report.collect import collect_scores
from selfgen.report.samples import samples_page
from selfgen.report.spec import Cell, Column, TableSpec
from selfgen.report.tables import cost, details, main

LABELS = {
    "lead-1": "Lead-1",
    "base": "Base model",
    "sft": "SFT",
    "sft-continued": "SFT continued",
    "bash": "BASH",
    "rac": "RAC",
}
COLUMNS = (
    Column("summarization", "test", "rougeL", "Summarization ROUGE-L"),
    Column("math", "test", "flexible", "Math, new templates"),
    Column("math", "seen", "flexible", "Math, seen templates", True),
)
HOW = (LABELS, "sft-continued", ("bash", "rac"), 0.95)
SPEC = TableSpec("main", "main", "laptop", COLUMNS, *HOW, (), None)
STAGES = replace(SPEC, own=figures.Stages({"sft": "base", "bash": "sft"}, (), {}))


def _fake_scores():
    """Scores as a small run gives them: three seeds, one of the base model, lead-1."""
    rng = np.random.default_rng(0)
    skill = {"base": -2.0, "sft": -0.3, "sft-continued": 0.0, "bash": 0.6, "rac": 0.2}
    parts = []
    for task, splits in (("summarization", ["test"]), ("math", ["test", "seen"])):
        for method, effect in skill.items():
            for seed in range(1 if method == "base" else 3):
                for decoding in ("direct", "corrected")[: 1 + (method == "rac")]:
                    cell = {"task": task, "model": "tiny", "method": method}
                    cell |= {"decoding": decoding, "seed": seed}
                    parts += [
                        (cell, _fake_frame(rng, task, split, effect))
                        for split in splits
                    ]
    lead = {"task": "summarization", "model": "-", "method": "lead-1"}
    frame = _fake_frame(rng, "summarization", "test", 3.0)
    frame[["tokens", "ended"]] = np.nan
    return collect_scores([*parts, (lead | {"decoding": "direct", "seed": 0}, frame)])


def _fake_frame(rng, task, split, effect):
    n = 40
    frame = pd.DataFrame({"id": [f"{split}-{i:02d}" for i in range(n)], "split": split})
    if task == "math":
        for name in ("strict", "flexible"):
            frame[name] = (rng.random(n) < 1 / (1 + np.exp(-effect))).astype(float)
    else:
        for name, level in (("rouge1", 0.3), ("rouge2", 0.1), ("rougeL", 0.22)):
            frame[name] = level + 0.02 * effect + rng.normal(0, 0.03, n)
    for name, value in (("tokens", 40.0), ("words", 30.0), ("reference_words", 28.0)):
        frame[name] = value
    return frame.assign(repetition=0.02, ended=1.0)


def _fake_runs():
    rows = [
        {"task": task, "model": "tiny", "method": method, "seed": seed, "steps": 60}
        | {"labelled_tokens": 20_000, "forwarded_tokens": 70_000}
        | {"generated_tokens": 0, "parent": "sft"}
        | {"changed_share": 0.1, "right_drafts_share": float("nan")}
        for task in ("summarization", "math")
        for method in ("sft", "sft-continued", "bash", "rac")
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


def _fake_curves():
    rows = [
        {"task": task, "model": "tiny", "method": method, "seed": seed, "step": step}
        | {"loss": 2 / (1 + step / 20) + seed / 10, "learning_rate": 1e-4}
        for task in ("summarization", "math")
        for method in ("sft", "sft-continued", "bash", "rac")
        for seed in range(2)
        for step in range(1, 41)
    ]
    return pd.DataFrame(rows)


def _fake_cost():
    rows = [
        ("bash", 0, "pass", 10.0, 100, 500.0, 1000.0, 60.0),
        ("bash", 0, "train", 20.0, 400, 900.0, 1060.0, 240.0),
        ("bash", 0, "answers", 5.0, 50, 400.0, 1300.0, 60.0),
        ("bash", 0, "answers", 3.0, 30, 400.0, 1330.0, 60.0),
        ("bash", 1, "pass", 12.0, 120, 500.0, 9000.0, 60.0),
        ("bash", 1, "train", 22.0, 440, 950.0, 9060.0, 60.0),
        ("bash", 1, "answers", 8.0, 80, 400.0, 9120.0, 60.0),
        ("base", 0, "answers", 6.0, 60, None, 1000.0, 30.0),
    ]
    columns = ["method", "seed", "stage", "seconds", "tokens", "peak_memory_mb"]
    frame = pd.DataFrame(rows, columns=[*columns, "started_at", "wall_seconds"])
    return frame.assign(
        **{"task": "math", "model": "tiny"},
        **{"device": "cpu", "dtype": "float32", "precision": "highest"},
    )


def test_collect_keeps_order_and_fills_with_nan():
    scores = _fake_scores()
    assert list(scores.columns) == [
        *("task", "split", "model", "method", "decoding", "seed", "id"),
        *("rouge1", "rouge2", "rougeL", "strict", "flexible", *SHAPE),
    ]
    assert scores["method"].drop_duplicates().tolist() == [
        *("base", "sft", "sft-continued", "bash", "rac", "lead-1")
    ]
    assert scores.loc[scores["task"] == "math", "rougeL"].isna().all()
    assert scores["seed"].dtype == int and scores["tokens"].dtype == float


def test_shipped_scores_draw_the_same_again(tmp_path):
    scores, runs = _fake_scores(), _fake_runs()
    scores.to_parquet(tmp_path / "scores.parquet")
    runs.to_csv(tmp_path / "runs.csv", index=False)
    texts, files = [], []
    for s, r in (
        (scores, runs),
        (
            pd.read_parquet(tmp_path / "scores.parquet"),
            pd.read_csv(tmp_path / "runs.csv"),
        ),
    ):
        drawn = (main.draw(s, r, SPEC), details.draw(s, SPEC))
        texts.append([text for table in drawn for text in table.texts().values()])
        figure = figures.main_figure(s, r, SPEC)
        files.append([style.render(figure, kind) for kind in ("png", "svg", "pdf")])
    assert texts[0] == texts[1]
    assert files[0] == files[1]
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in texts[0])
    assert all(map(_undated, files[0]))


def test_curves_are_the_same_bytes_twice_and_undated():
    def draw():
        figure = figures.curves_figure(_fake_curves(), STAGES)
        return [style.render(figure, kind) for kind in ("png", "svg", "pdf")]

    first = draw()
    assert first == draw()
    assert all(map(_undated, first))
    assert first[0].startswith(b"\x89PNG") and first[2].startswith(b"%PDF")


def _undated(data):
    return not any(word in data for word in (b"CreationDate", b"dc:date", b"Software"))


def test_the_main_figure_without_a_baseline_has_scores_only():
    scores = _fake_scores()
    scores = scores[scores["method"] != "sft-continued"]
    figure = figures.main_figure(scores, _fake_runs(), SPEC)
    assert len(figure.axes) == 3


def test_the_first_of_a_kind_has_its_look_and_others_have_their_own():
    mixes = {"sft": "plain", "sft-continued": "plain", "bash": "bash", "rac": "rac"}
    mixes |= {"base": "none", "bash-50": "bash", "mine": "a-package-s"}
    looks = style.looks(mixes)
    assert looks["sft"] == (style.BLACK, "D")
    # The second of further ones by name, behind bash-50.
    assert looks["sft-continued"] == (
        style.lighter(style.BLACK, style.SHADES[1]),
        style.FURTHER[1],
    )
    assert looks["base"].colour == style.GREY
    assert looks["bash"] == (style.BLUE, "o")
    assert looks["bash-50"] == (
        style.lighter(style.BLUE, style.SHADES[1]),
        style.FURTHER[0],
    )
    assert len({look.marker for look in looks.values()}) == len(mixes)
    assert style.lighter("#004080", 0.5) == "#80A0C0"


def test_a_stage_begins_where_its_parent_ends():
    """In a panel of its own; so do pairs, whose loss has another unit. The rounds of a method
    are one line."""
    lines = [
        ("qa", "m", method, 0, step, loss, 1e-4)
        for method, steps, loss in (
            *(
                ("sft", range(4), 3.0),
                ("bash", range(2), 2.0),
                ("rac.r1", range(1), 2.5),
            ),
            *(("rac", range(1, 3), 2.5), ("dpo", range(2), 0.7)),
        )
        for step in steps
    ]
    names = ["task", "model", "method", "seed", "step", "loss", "learning_rate"]
    parents = {"sft": "base", "bash": "sft", "rac": "sft", "dpo": "bash"}
    labels = LABELS | {"dpo": "DPO"}
    own = figures.Stages(parents, ("dpo",), {"rac.r1": "rac"})
    spec = replace(SPEC, own=own, labels=labels)
    figure = figures.curves_figure(pd.DataFrame(lines, columns=names), spec)
    drawn = {
        ax.get_title(): {line.get_label(): [*line.get_xdata()] for line in ax.lines}
        for ax in figure.axes
    }
    assert drawn == {
        "qa, stage 1": {"SFT": [0, 1, 2, 3]},
        "qa, stage 2": {"BASH": [4, 5], "RAC": [4, 5, 6]},
        "qa, stage 3": {"DPO": [6, 7]},
    }
    assert ["pair" in ax.get_ylabel() for ax in figure.axes] == [False, False, True]


def test_details_by_hand():
    parts = []
    for seed, value in ((0, 0.2), (1, 0.4)):
        frame = pd.DataFrame({"id": ["a", "b"], "split": "test", "rougeL": value})
        frame = frame.assign(tokens=9.0, ended=[0.0, 1.0])
        cell = {"task": "qa", "model": "m", "method": "rac", "decoding": "corrected"}
        parts.append((cell | {"seed": seed}, frame))
    texts = details.draw(collect_scores(parts), SPEC).texts()
    assert texts["csv"] == (
        "task,split,model,method,decoding,shared_templates,n,seeds,rougeL,"
        "tokens,words,reference_words,repetition,ended,edited\n"
        "qa,test,m,rac,corrected,0,2,2,0.300000,9.000000,,,,0.500000,\n"
    )
    assert texts["md"].splitlines()[:5] == [
        "**Details of qa, test.**",
        "",
        "| Method | ROUGE-L | Tokens | Ended | n | Seeds |",
        "| :-- | --: | --: | --: | --: | --: |",
        "| RAC, corrected once | 30.0 | 9.0 | 50.0 | 2 | 2 |",
    ]
    assert texts["tex"].count("\\begin{table}") == 1


def test_details_mark_shared_templates():
    texts = details.draw(_fake_scores(), SPEC).texts()
    lines = texts["md"].splitlines()
    titles = [line for line in lines if line.startswith("**Details")]
    assert [title for title in titles if "†" in title] == [
        "**Details of math, seen†.**"
    ]
    assert sum(line.startswith("- †: ") for line in lines) == 1
    rows = texts["csv"].splitlines()[1:]
    assert all(
        (row.split(",")[5] == "1") == row.startswith("math,seen") for row in rows
    )


def test_details_show_what_lead_1_does_not_have():
    page = details.draw(_fake_scores(), SPEC).texts()["md"]
    lead = next(line for line in page.splitlines() if line.startswith("| Lead-1"))
    assert lead.endswith("| — | 30.0 | 28.0 | 2.0 | — | 40 | — |")
    assert page.count("**Details of") == 3


def test_cost_by_hand():
    texts = cost.draw(_fake_cost(), SPEC).texts()
    assert texts["csv"].splitlines()[1:] == [
        "math,tiny,bash,11.000000,21.000000,8.000000,10.000000,20.000000,10.000000,"
        "950.000000,cpu,float32,highest",
        "math,tiny,base,,,6.000000,,,10.000000,,cpu,float32,highest",
    ]
    lines = texts["md"].splitlines()
    assert lines[4:6] == [
        "| math | BASH | 11 | 21 | 8 | 10 | 20 | 10 | 950 |",
        "| math | Base model | — | — | 6 | — | — | 10 | — |",
    ]
    assert "- Machine: cpu, float32, highest." in lines
    # 1000 to 1390 and, after a pause, 9000 to 9180
    assert lines[-1] == (
        "- Trainings, passes and answers of this table: 8 jobs, in 10 minutes of wall time, "
        "10 minutes one after the other: 48% training, 33% answers, 19% passes."
    )


def test_costs_of_several_models_and_machines_say_which():
    other = _fake_cost().assign(model="small", device="cuda")
    both = pd.concat([_fake_cost(), other])
    lines = cost.draw(both, SPEC).texts()["md"].splitlines()
    assert lines[4].startswith("| math | tiny | BASH |")
    assert lines[4].endswith("| cpu, float32, highest |")
    assert lines[6].startswith("| math | small | BASH |")
    assert lines[6].endswith("| cuda, float32, highest |")
    assert not any(line.startswith("- Machine") for line in lines)


def test_wall_time_counts_jobs_side_by_side_and_shared_passes_once():
    jobs = pd.DataFrame(
        {"started_at": [0.0, 2.0, 9.0], "wall_seconds": [8.0, 3.0, 1.0]}
    )
    assert cost.busy_seconds(jobs) == 9.0
    assert cost.busy_seconds(jobs, pause=1.0) == 10.0
    timings = _fake_cost()
    shared = timings[timings["stage"] == "pass"].assign(method="rac")
    whole = [
        cost.draw(frame, SPEC).texts()["md"].splitlines()[-1]
        for frame in (timings, pd.concat([timings, shared]))
    ]
    assert whole[0] == whole[1]


def test_what_a_training_draws_is_a_pass_and_no_job():
    timings = _fake_cost()
    assert "draws while it trains" not in cost.draw(timings, SPEC).texts()["md"]
    drew = timings[timings["method"] == "base"].assign(
        stage="pass", seconds=4.0, wall_seconds=0.0
    )
    lines = cost.draw(pd.concat([timings, drew]), SPEC).texts()["md"].splitlines()
    assert lines[5].startswith("| math | Base model | 4 | — | 6 | 15 |")
    assert lines[-3].endswith(
        "What a method draws while it trains is a pass, and not in its seconds of training."
    )
    assert lines[-1] == cost.draw(timings, SPEC).texts()["md"].splitlines()[-1]


def _record(i, split="test"):
    words = " ".join(["word"] * 61)
    return {"id": f"q{i}", "split": split, "prompt": words, "reference": "a | b\nc"}


def _samples(columns, *answers):
    """The spec of a page, and the rows of (method, seed, text, decoding) of each cell."""
    cells = tuple(
        Cell("math", "m", m, decoding, seed) for m, seed, _, decoding in answers
    )
    rows = [
        [{"id": f"q{i}", "text": text} for i in range(9)] for _, _, text, _ in answers
    ]
    return rows, TableSpec("samples", "samples", "tiny", columns, *HOW, cells, None)


def test_samples_page():
    records = {"math": [_record(i) for i in range(9)] + [_record(10, "train")]}
    answers, spec = _samples(
        COLUMNS[1:],
        ("rac", 1, "second seed", "direct"),
        ("rac", 0, "1 < 2 *and* `x`\nend", "direct"),
        ("rac", 0, "", "corrected"),
    )
    page = samples_page(records, answers, spec, k=2)
    assert page.count("### q") == 2 and "q10" not in page
    assert page.count("word") == 2 * 60 and page.count("word …") == 2
    assert page.count("| *Reference* | a \\| b<br>c |") == 2
    assert page.count("| RAC | 1 &lt; 2 \\*and\\* \\`x\\`<br>end |") == 2
    assert page.count("| RAC, corrected once | *(empty)* |") == 2
    assert "second seed" not in page
    assert page.endswith("|\n")


def test_samples_do_not_depend_on_the_order_of_the_records():
    records = [_record(i) for i in range(9)]
    answers, spec = _samples(COLUMNS[1:2], ("rac", 0, "x", "direct"))
    assert samples_page({"math": records}, answers, spec) == samples_page(
        {"math": records[::-1]}, answers, spec
    )


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_every_kind_of_figure_has_content(kind):
    figure = figures.curves_figure(_fake_curves(), STAGES)
    assert len(style.render(figure, kind)) > 5_000
