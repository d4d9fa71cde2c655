"""Tables as LaTeX: every box is there once, in parts that fit a page; compiled by LaTeX."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.shipped import REFERENCE

from selfgen.report.grid import Entry, Grid
from selfgen.report.latex import to_latex

TABLES = sorted(REFERENCE.rglob("*.tex"))


def grid(columns: int, rows: int, width: int = 4) -> Grid:
    """Boxes ``3/2`` and so on, wide and two lines high; two columns of words."""
    return Grid(
        name="wide",
        title="Wide.",
        header=["Task", "Method", *(f"H{i}" for i in range(columns))],
        rows=[
            [
                f"t{r}",
                f"m{r}",
                *(Entry(f"{r}/{i}", below="[1]" * width) for i in range(columns)),
            ]
            for r in range(rows)
        ],
        notes=["The note."],
        left=2,
        rules=frozenset(range(10, rows, 10)),
    )


def parts(text: str) -> list[list[list[str]]]:
    """First lines of the rows of each tabular."""
    found = re.findall(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL)
    lines = [re.findall(r"^(t.*?) \\\\", part, re.MULTILINE) for part in found]
    return [[line.split(" & ") for line in part] for part in lines]


@pytest.mark.parametrize("columns, rows", [(3, 4), (30, 4), (30, 45), (3, 90)])
def test_every_box_is_shown_once_beside_its_words(columns: int, rows: int) -> None:
    text = to_latex(grid(columns, rows))
    shown: list[str] = []
    for part in parts(text):
        for task, method, *boxes in part:
            row = task.removeprefix("t")
            assert method == f"m{row}"
            assert {box.partition("/")[0] for box in boxes} == {row}
            shown += boxes
    expected = {f"{r}/{i}" for r in range(rows) for i in range(columns)}
    assert len(shown) == len(expected) and set(shown) == expected
    assert text.count("The note.") == 1
    assert text.count(r"\label") == 1
    assert text.count(r"\caption") == text.count(r"\begin{table}")
    assert text.count("(Continued.)") == text.count(r"\addtocounter{table}{-1}")


def test_a_small_table_is_one_tabular_upright() -> None:
    text = to_latex(grid(3, 4))
    assert len(parts(text)) == 1 and r"\begin{table}[tbp]" in text
    assert "Continued" not in text


def test_what_is_wide_and_short_is_one_table_of_panels() -> None:
    text = to_latex(grid(12, 4))
    assert len(parts(text)) > 1 and text.count(r"\begin{table}") == 1


def test_what_fits_on_its_side_is_turned() -> None:
    text = to_latex(grid(8, 17))
    assert text.count(r"\begin{sidewaystable}") == 1 and len(parts(text)) == 1


def test_long_words_are_broken_into_lines() -> None:
    long = "choices that are not those of the reference, after its own tokens"
    made = Grid("w", "W.", ["Measure", "A"], [[long, Entry("1", below="[0, 2]")]])
    (row,) = re.findall(r"\\midrule\n(.*)\\bottomrule", to_latex(made), re.DOTALL)
    first, second = (line.split(" & ") for line in row.splitlines())
    assert (
        f"{first[0]} {second[0]}" == long and max(map(len, (first[0], second[0]))) < 45
    )
    assert first[1] == r"1 \\" and second[1].startswith(r"{\tiny [0, 2]} \\")


def test_words_that_leave_no_room_have_a_column_each() -> None:
    words = ["m" * 200] * 3
    made = Grid("w", "W.", [*words, "A", "B"], [[*words, "1", "2"]], left=3)
    assert to_latex(made).count(r"\begin{tabular}") == 2


def test_a_long_table_goes_on_above_a_thin_line() -> None:
    found = parts(to_latex(grid(3, 90)))
    assert len(found) > 1
    assert all(len(part) % 10 == 0 for part in found)


@pytest.mark.slow
@pytest.mark.needs("pdflatex")
@pytest.mark.parametrize("path", TABLES, ids=lambda p: str(p.relative_to(REFERENCE)))
def test_a_shipped_table_fits_the_page(path: Path, tmp_path: Path) -> None:
    """Compiled in the class with the narrowest text."""
    document = "\n".join(
        [
            r"\documentclass{article}",
            r"\usepackage{booktabs,rotating}",
            r"\begin{document}",
            path.read_text(encoding="utf-8"),
            r"\end{document}",
        ]
    )
    (tmp_path / "table.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "table.log").read_text(encoding="latin-1")
    assert not re.findall(r"Overfull \\hbox.*|.*too large for page.*", log)
