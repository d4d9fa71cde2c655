"""The main table on small frames worked by hand, in all three formats."""

import csv
import io
import subprocess
from dataclasses import replace

import pandas as pd
import pytest
from tests.tools import need

from selfgen.core.errors import UserError
from selfgen.report.collect import collect_scores
from selfgen.report.grid import Entry, Grid
from selfgen.report.measure import main_table
from selfgen.report.spec import Column, TableSpec
from selfgen.report.tables import main

LABELS = {
    "lead-1": "Lead-1",
    "base": "Base model",
    "sft-continued": "SFT continued",
    "bash": "BASH",
    "rac": "RAC",
}
SUM = Column("sum", "test", "rougeL", "ROUGE-L")
MATH = Column("math", "seen", "flexible", "Math", shared_templates=True)
FLAT = [0.5, 0.5, 0.5, 0.5]
HIGH = [0.59, 0.6, 0.61, 0.6]


def _spec(*columns):
    columns = columns or (SUM,)
    primary = tuple(name for name in LABELS if name != "sft-continued")
    how = (LABELS, "sft-continued", primary, 0.95, (), None)
    return TableSpec("main", "main", "tiny", columns, *how)


def _part(method, values, column=SUM, seed=0, decoding="direct", model="m"):
    cell = {"task": column.task, "model": model, "method": method}
    frame = pd.DataFrame(
        {
            "id": [f"i{i}" for i in range(len(values))],
            "split": column.split,
            column.metric: values,
        }
    )
    return cell | {"decoding": decoding, "seed": seed}, frame


def _runs(**steps):
    return pd.DataFrame(
        [
            {"task": task, "model": "m", "method": method, "seed": seed, "steps": n}
            | {"labelled_tokens": 100 * n, "forwarded_tokens": 250 * n}
            for method, n in steps.items()
            for task in ("sum", "math")
            for seed in (0, 1)
        ],
        columns=[
            *("task", "model", "method", "seed"),
            *("steps", "labelled_tokens", "forwarded_tokens"),
            *("parent", "changed_share", "right_drafts_share"),
        ],
    ).astype({"parent": object, "changed_share": float, "right_drafts_share": float})


def _table(parts, *columns, **steps):
    """The table by the endings of its files."""
    scores, runs = collect_scores(parts), _runs(**steps)
    return main.draw(scores, runs, _spec(*columns)).texts()


def _cells(table):
    """Method label -> the score cells of its Markdown row."""
    lines = [line for line in table["md"].splitlines() if line.startswith("|")]
    rows = [line.strip("| ").split(" | ") for line in lines[2:]]
    return {row[0]: row[1:] for row in rows}


def _seeds(method, *rows, column=SUM):
    return [_part(method, row, column, seed) for seed, row in enumerate(rows)]


def test_the_whole_table_by_hand():
    """Intervals by t: 3 seeds whose means are equal, so that items alone vary, 3 degrees of
    freedom; one seed of 4 items, likewise."""
    table = _table(
        [
            _part("base", [0.2] * 4),
            *_seeds("sft-continued", FLAT, FLAT, FLAT),
            *_seeds("bash", HIGH, HIGH, HIGH),
            _part("rac", [0.4, 0.6, 0.4, 0.6]),
            _part("lead-1", [0.9] * 4, model="-"),
            _part("rac", [0.5, 0.5, 0.4, 0.6], MATH),
        ],
        SUM,
        MATH,
        **{"base": 0, "sft-continued": 10, "bash": 10},
    )
    assert table["md"] == (
        "**Scores in percent with 95% intervals (scale: tiny).**\n"
        "\n"
        "| Method | ROUGE-L<br>n = 4 | Math †<br>n = 4 | Seeds | Steps "
        "| Labelled tokens<br>thousands | Forwarded tokens<br>thousands |\n"
        "| :-- | --: | --: | --: | --: | --: | --: |\n"
        "| Lead-1 | 90.0<br>[23.0, 99.6] ‡ all equal | — | — | — | — | — |\n"
        "| Base model | 20.0<br>[1.4, 81.6] ‡ all equal | — | 1 | 0 | 0.0 | 0.0 |\n"
        "| SFT continued | 50.0<br>[7.7, 92.3] all equal | — | 3 | 20 | 2.0 | 5.0 |\n"
        "| BASH | **60.0** ▲▲<br>[58.7, 61.3] | — | 3 | 20 | 2.0 | 5.0 |\n"
        "| RAC | 50.0<br>[32.8, 67.2] ‡ | 50.0<br>[37.4, 62.6] ‡ | 1 | — | — | — |\n"
        "\n"
        "- ROUGE-L: ROUGE-L. Flexible: Math.\n"
        "- Brackets: 95% interval over seeds and items (docs/statistics.md).\n"
        "- ‡: one seed. The interval says what other items would show, not what another "
        "training run would.\n"
        "- All equal: all items have one value, so nothing is tested.\n"
        "- ▲ (▼): better (worse) than SFT continued: the 95% interval of the paired "
        "difference excludes 0. Doubled: it also survives Holm's correction over the 1 "
        "primary comparisons, which the configuration names: BASH on ROUGE-L. All "
        "others are exploratory: one mark at most, not corrected for how many there "
        "are. No mark: no difference shown. Bold: best of the model's methods.\n"
        "- Smallest difference to SFT continued that is found with 80% power, in "
        "points: ROUGE-L 12.4.\n"
        "- †: made by the rule or template that training problems are made by, with "
        "other words, names or numbers.\n"
        "- Steps and tokens: the method's own stage of training without its parent's, "
        "summed over tasks, mean of the seeds.\n"
        "- —: not run, or does not apply.\n"
    )


def test_doses_and_a_baseline_that_fell():
    """BASH changed 12 % of the tokens of one task and 2 % of the other's; continued SFT lies
    below SFT in one."""
    parts = [
        _part("base", [0.6, 0.7, 0.6, 0.71]),
        *_seeds("sft-continued", *[[0.3, 0.4, 0.3, 0.4]] * 3),
        *_seeds("bash", HIGH, HIGH, HIGH),
        *_seeds("rac", FLAT, FLAT, FLAT),
        *(_part("base", FLAT, MATH), _part("sft-continued", FLAT, MATH)),
        _part("bash", FLAT, MATH),
    ]
    runs = _runs(**{"base": 0, "sft-continued": 10, "bash": 10, "rac": 10})
    runs.loc[runs["method"] == "sft-continued", "parent"] = "base"
    bash = runs["method"] == "bash"
    runs.loc[bash & (runs["task"] == "sum"), "changed_share"] = [0.11, 0.13]
    runs.loc[bash & (runs["task"] == "math"), "changed_share"] = 0.02
    runs.loc[runs["method"] == "rac", "right_drafts_share"] = 0.25
    drawn = main.draw(collect_scores(parts), runs, _spec(SUM, MATH))
    cells = _cells(drawn.texts())
    assert cells["BASH"][2:4] == ["12.0 / 2.0¶", "—"]
    assert cells["RAC"][2:4] == ["—", "25.0 / 25.0"]
    assert cells["SFT continued"][2:4] == ["—", "—"]
    text = drawn.texts()["md"]
    assert (
        "| Context changed, %<br>sum / math | Drafts as the reference, %<br>sum / math |"
        in text
    )
    assert "¶: under 5%, so it is no more than SFT continued: BASH on math." in text
    assert (
        "SFT continued fell below Base model, from which it started: ROUGE-L -30.2 ["
        in text
    )
    cell = ["math", "seen", 1, "flexible", "m", "bash"]
    (line,) = (line for line in drawn.lines if line[:6] == cell)
    assert line[-2:] == [pytest.approx(0.02), None]


def test_a_difference_that_holm_does_not_confirm_has_one_mark():
    # p is about 0.02, which 21 comparisons undo.
    better = [0.5 + 0.1 * (i % 4 != 0) - 0.135 * (i % 4 == 0) for i in range(32)]
    flat = [0.5] * 32
    parts = [*_seeds("sft-continued", *[flat] * 3), *_seeds("bash", *[better] * 3)]
    assert _cells(_table(parts))["BASH"][0].startswith("**54.1** ▲▲<br>")
    for i in range(20):
        parts += _seeds(f"x{i}", *[[*flat[:-1], 0.5 + i / 100]] * 3)
    scores, spec = collect_scores(parts), _spec()
    spec = replace(spec, primary=(*spec.primary, *(f"x{i}" for i in range(20))))
    table = main.draw(scores, _runs(), spec).texts()
    assert _cells(table)["BASH"][0].startswith("**54.1** ▲<br>")


def test_what_was_not_declared_is_exploratory():
    """It has one mark however small its p, and is no part of Holm's family."""
    parts = [
        *_seeds("sft-continued", FLAT, FLAT, FLAT),
        *_seeds("bash", HIGH, HIGH, HIGH),
        *_seeds("rac", HIGH[::-1], HIGH[::-1], HIGH[::-1]),
    ]
    spec = replace(_spec(), primary=("rac",))
    texts = main.draw(collect_scores(parts), _runs(), spec).texts()
    cells = _cells(texts)
    assert "60.0** ▲<br>" in cells["BASH"][0] and "60.0** ▲▲<br>" in cells["RAC"][0]
    assert "over the 1 primary comparisons, which the configuration" in texts["md"]
    assert "names: RAC on ROUGE-L. All others are exploratory" in texts["md"]
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(texts["csv"]))}
    assert (rows["bash"]["primary"], rows["bash"]["holm"]) == ("0", "")
    assert rows["rac"]["primary"] == "1"
    assert rows["rac"]["holm"] == rows["rac"]["p"] == rows["bash"]["p"]
    elsewhere = replace(_spec(replace(SUM, primary=False)))
    text = main.draw(collect_scores(parts), _runs(), elsewhere).texts()["md"]
    assert "▲▲" not in text and "All comparisons are exploratory" in text


def test_one_seed_has_a_sign_in_every_cell_and_no_doubled_mark():
    one = [_part("sft-continued", FLAT), _part("bash", HIGH)]
    text = _table(one)["md"]
    assert "**60.0** ▲<br>[58.7, 61.3] ‡ |" in text
    assert "- ‡: one seed." in text and "No mark is doubled, since fewer than" in text
    both = [_part("sft-continued", FLAT, seed=1), _part("bash", HIGH, seed=1)]
    several = _table(one + both)["md"]
    assert "**60.0**<br>[58.7, 61.3] § |" in several
    assert "- §: two seeds, too few" in several and "one seed" not in several


def test_seeds_that_disagree_take_the_mark_away():
    cells = _cells(
        _table(
            [
                *_seeds("sft-continued", FLAT, FLAT, FLAT),
                *_seeds("bash", HIGH, HIGH, HIGH),
                *_seeds("rac", [0.3] * 4, [0.6] * 4, [0.9] * 4),
            ]
        )
    )
    assert cells["BASH"][0] == "**60.0** ▲▲<br>[58.7, 61.3]"
    # Two degrees of freedom: t is 4.303, the variance .03, as of .24 / .03 = 8 tosses.
    assert cells["RAC"][0] == "**60.0**<br>[11.5, 94.5]"


def test_a_column_that_nobody_solves_is_a_floor():
    low = [_part("sft-continued", [0.0] * 4), _part("bash", [0.0, 0.0, 0.0, 0.2])]
    text = _table([*low, _part("lead-1", FLAT, model="-")])["md"]
    assert "ROUGE-L<br>n = 4, floor" in text
    assert "- Floor: every method is under 10%" in text
    high = [*low, _part("rac", FLAT)]
    assert "loor" not in _table(high)["md"]


def test_lead_1_is_neither_best_nor_compared():
    lead = _part("lead-1", [0.9] * 4, model="-")
    parts = [_part("sft-continued", FLAT), _part("bash", [0.6] * 4), lead]
    assert _cells(_table(parts))["Lead-1"][0].startswith("90.0<br>")
    table = main_table(collect_scores(parts), _runs(), _spec())
    assert table.rows[0].label == "Lead-1"
    assert [bool(row.scores[0].difference) for row in table.rows] == [0, 0, 1]


def test_a_tie_of_all_is_not_bold_and_decodings_stand_together():
    table = _table(
        [
            _part("rac", FLAT),
            _part("sft-continued", FLAT),
            _part("rac", FLAT, decoding="corrected"),
        ]
    )
    assert "**50.0**" not in table["md"]
    assert list(_cells(table)) == ["RAC", "RAC, corrected once", "SFT continued"]


def test_each_model_has_its_own_baseline_and_its_own_best():
    table = _table(
        [
            _part("sft-continued", FLAT),
            _part("bash", HIGH),
            _part("sft-continued", [0.7] * 4, model="large"),
            _part("bash", HIGH, model="large"),
        ]
    )
    lines = table["md"].splitlines()
    assert lines[2].startswith("| Model | Method |")
    assert lines[5].startswith("| m | BASH | **60.0** ▲<br>")
    assert lines[6].startswith("| large | SFT continued | **70.0**<br>")
    assert lines[7].startswith("| large | BASH | 60.0 ▼<br>")


def test_without_the_baseline_nothing_is_compared():
    text = _table([_part("bash", FLAT), _part("rac", [0.6] * 4)])["md"]
    assert "▲" not in text and "power" not in text


def test_csv_by_hand():
    parts = [_part("sft-continued", FLAT), _part("bash", HIGH)]
    text = _table([*parts, _part("bash", FLAT, MATH)], SUM, MATH, bash=10)["csv"]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert text.endswith("\n") and "\r" not in text
    assert list(rows[2].values()) == [
        *("sum", "test", "0", "rougeL", "m", "bash", "direct", "4", "1"),
        *("0.600000", "0.586942", "0.612918", "0.100000", "0.087008", "0.112992"),
        *("0.000149", "1", "", "10", "1000", "2500", "", ""),
    ]
    missing = rows[1]
    assert (missing["task"], missing["method"]) == ("math", "sft-continued")
    assert (missing["n"], missing["mean"], missing["steps"]) == ("0", "", "")
    assert missing["shared_templates"] == "1"
    assert rows[3]["mean"] == "0.500000" and rows[3]["difference"] == ""


def test_a_metric_that_is_no_score_is_refused():
    column = Column("sum", "test", "words", "Words")
    with pytest.raises(UserError, match=r"columns\[0\].metric: found 'words', allowed"):
        _table([_part("bash", FLAT)], column)


def test_a_column_at_the_floor_gives_way_to_another_of_its_task():
    """It stays in the CSV, and where it is the best that a task has."""
    hard = Column("sum", "hard", "rougeL", "Hard")
    low = [_part(name, [0.02] * 4, hard) for name in ("sft-continued", "bash")]
    both = [_part("sft-continued", FLAT), _part("bash", HIGH), *low]
    drawn = _table(both, hard, SUM)
    assert "Hard" not in drawn["md"].splitlines()[2]
    assert "every method is under 10% there: Hard (main.csv)" in drawn["md"]
    assert ",hard," in drawn["csv"]
    assert "Hard<br>n = 4, floor" in _table(low, hard)["md"]
    better = [_part(name, [0.04] * 4) for name in ("sft-continued", "bash")]
    drawn = _table([*better, *low], hard, SUM)
    assert "Hard" not in drawn["md"].splitlines()[2]
    assert "ROUGE-L<br>n = 4, floor" in drawn["md"]


def test_latex_escapes_and_compiles(tmp_path):
    labels = LABELS | {"bash": r"B&SH 50% $x$ #1 {a}~^\ <b> a_b — β ▲ 'q'"}
    column = Column("sum", "test", "rougeL", 'A long_title & 100% of "it"', True)
    spec = replace(_spec(column), labels=labels)
    parts = [
        *_seeds("sft-continued", FLAT, FLAT, FLAT),
        *_seeds("bash", HIGH, HIGH, HIGH),
        _part("rac", FLAT),
    ]
    text = main.draw(collect_scores(parts), _runs(), spec).texts()["tex"]
    assert text.startswith("\\begin{table}") and text.endswith("\\end{table}\n")
    assert r"\textbf{60.0}\rlap{$^{\uparrow\uparrow}$}" in text
    assert r"B\&SH 50\% \$x\$ \#1 \{a\}" in text
    need("pdflatex")
    (tmp_path / "table.tex").write_text(text)
    (tmp_path / "article.tex").write_text(
        "\\documentclass{article}\n\\usepackage{booktabs}\n"
        "\\begin{document}\n\\input{table}\n\\end{document}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "article.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_a_row_of_another_width_is_refused():
    """A box more than the header would be shown in no column."""
    header = [Entry("a"), Entry("b")]
    with pytest.raises(ValueError, match="table t: row 1 has 3 boxes, the header 2"):
        Grid("t", "title", header, [header, [*header, Entry("c")]])
