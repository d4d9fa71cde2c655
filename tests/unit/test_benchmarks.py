"""Benchmarks: the table of what they measure, by hand; and one that is added by one file."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.conftest import SMALL

from selfgen.benchmarks import BENCHMARKS
from selfgen.core.errors import UserError
from selfgen.report.spec import Cell, TableSpec
from selfgen.report.tables.benchmark import Graded, draw

ROOT = Path(__file__).parents[2]


def spec(name: str) -> TableSpec[Graded]:
    found = BENCHMARKS[name]
    return TableSpec(
        kind="benchmark",
        name=name,
        scale="s",
        columns=(),
        labels={"bash": "BASH"},
        baseline="sft",
        primary=(),
        confidence=0.95,
        cells=tuple(Cell("t", "m", "bash", "direct", seed) for seed in (0, 1)),
        own=Graded(found.table_title, found.note, found.measures, found.missing),
    )


def drawn(name: str, grades: list[list[dict]]) -> tuple[dict[str, str], str]:
    texts = draw(grades, spec(name)).texts()
    (line,) = csv.DictReader(texts["csv"].splitlines())
    return line, texts["md"]


def test_wins_and_lengths() -> None:
    """Replies that name neither are left out and counted; what is not controlled for
    length has no column of numbers."""
    rows = [
        {"id": "0", "won": 1.0, "controlled": None, "length": 10, "by": "cheap-1"},
        {"id": "1", "won": 0.5, "controlled": None, "length": 30},
        {"id": "2", "won": None, "controlled": None, "length": 20},
    ]
    line, text = drawn("alpaca-eval", [rows, rows])
    assert float(line["win_rate"]) == 0.75 and float(line["length"]) == 20
    assert (line["length_controlled"], line["unparsable"]) == ("", "2")
    assert (line["n"], line["seeds"]) == ("3", "2")
    assert "| t | m | BASH | — | 75.00" in text and "| 20 | 2 | 3 | 2 |" in text
    # Of the judge's numbers the cells say what share of replies they are without.
    assert text.count("; 33.3 % unparsable |") == 1
    assert "Where more than 5 % are unparsable, the cell says so" in text
    assert "Replies are by cheap-1, and not by the model that was asked." in text
    with pytest.raises(UserError, match="found no grade"):
        drawn("alpaca-eval", [[], []])


def test_ratings_by_turn_and_category() -> None:
    """Means over the ratings that there are; under both seeds 6, 8, 1 and 3."""
    rows = [
        {"id": f"{i}.{turn}", "category": name, "turn": turn, "rating": rating}
        for i, name, turn, rating in (
            *((1, "writing", 1, 6.0), (1, "writing", 2, 8.0)),
            *((2, "math", 1, 1.0), (2, "math", 2, 3.0), (3, "math", 1, None)),
        )
    ]
    line, text = drawn("mt-bench", [rows, rows])
    assert float(line["mean"]) == 4.5 and line["unparsable"] == "2"
    assert float(line["mean_low"]) <= 4.5 <= float(line["mean_high"])
    found = [float(line[x]) for x in ("turn_1", "turn_2", "writing", "math")]
    assert found == [3.5, 5.5, 7, 2]
    assert line["stem"] == "" and "| Mean | Turn 1 | Turn 2 | Writing | " in text


@pytest.mark.parametrize("name", ["gsm8k", "minerva-math"])
def test_accuracies(name: str) -> None:
    rows = [
        {"id": "a", "strict": 1.0, "flexible": 1.0, "reply": ""},
        {"id": "b", "strict": 0.0, "flexible": 1.0, "reply": ""},
    ]
    line, text = drawn(name, [rows, rows])
    assert (float(line["strict"]), float(line["flexible"])) == (0.5, 1)
    assert line["n"] == line["seeds"] == "2" and "unparsable" not in line
    assert "| Strict, % | Flexible, % | n | Seeds |" in text


FILE = '''
"""Riddles, graded 0 or 1."""

from pydantic import Field

from selfgen.benchmarks.base import Conversation, Judged, Measure


class Riddles(Judged):
    """Riddles of one line each."""

    title, table_title, note = "Riddles", "Riddles that were solved.", "Judge: {judge}."
    file_keys = answer_files = ("riddles",)
    measures = (Measure("solved", "solved", "Solved, %"),)
    size, reply_tokens = 3, 1
    lengths, judged = (5, 5), (20, 1)

    riddles: str = Field(description="Their file, by its name in `files`.")

    @staticmethod
    def conversations(files):
        lines = enumerate(files["riddles"].read_text().splitlines())
        return [Conversation(str(i), (line,)) for i, line in lines]

    @staticmethod
    def grade(answers, files, generator, ask):
        texts = [row["answer"] for row in answers]
        replies = ask([{"messages": [{"role": "user", "content": x}]} for x in texts])
        rows = zip(answers, replies, strict=True)
        return [{"id": a["id"], "solved": float(r.text == "1")} for a, r in rows], {}


BENCHMARK = Riddles
'''

SCRIPT = """
import json, sys
from pathlib import Path
from selfgen import benchmarks
from selfgen.config import load
from selfgen.config.manual import manual
from selfgen.graph import benchmarks as graph_of, cost, tables
from selfgen.graph.steps import Graph

raw, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
graph = Graph(load(raw))
graph_of.check(graph)
files = {"riddles": folder / "riddles.txt"}
asked = benchmarks.JUDGED["riddles"].conversations(files)
print(json.dumps({
    "names": graph_of.judged(graph),
    "files": graph_of.files(graph, "riddles", answering=True),
    "code": graph_of.code("riddles", "grade_benchmark"),
    "answers": graph_of.answers(graph, "riddles", 0).benchmark,
    "asked": [c.turns for c in asked],
    "plan": [[a.what, a.requests] for a in cost.asked(graph)],
    "table": tables.tables(graph)["riddles"].inputs,
    "manual": "## `evaluation.riddles`" in manual(),
}))
"""


def test_a_benchmark_is_one_file(tmp_path: Path) -> None:
    """Configuration, manual, graph, steps, plan and tables find it."""
    package = tmp_path / "src" / "selfgen"
    shutil.copytree(ROOT / "src" / "selfgen", package)
    (package / "benchmarks" / "riddles.py").write_text(FILE)
    (tmp_path / "riddles.txt").write_text("one\ntwo\nthree\n")
    judge = {"input_price": 1.0, "output_price": 1.0, "budget": 1.0}
    raw = yaml.safe_load(SMALL.read_text()) | {
        "files": {"lines": {"path": "riddles.txt"}},
        "judges": {"gpt": {"kind": "endpoint", "model": "judge-1"} | judge},
    }
    section = {"judge": "gpt", "tasks": ["descriptions"], "riddles": "lines"}
    raw["evaluation"] = raw.get("evaluation", {}) | {"riddles": section}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(raw), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "src")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    grades = found.pop("table")["grades"]
    assert grades[0].startswith("results/benchmarks/riddles/descriptions/tiny/")
    assert found == {
        "names": ["riddles"],
        "files": {"riddles": "lines"},
        "code": ["selfgen.judge.grades", "selfgen.benchmarks.riddles"],
        "answers": "riddles",
        "asked": [["one"], ["two"], ["three"]],
        "plan": [["riddles", 3 * len(grades)]],
        "manual": True,
    }


def test_nothing_else_names_a_benchmark() -> None:
    """But for GSM8K as a data set of its own."""
    names = ("alpaca-eval", "alpaca_eval", "mt-bench", "mt_bench", "minerva")
    for folder in ("src", "workflow"):
        for path in (ROOT / folder).rglob("*.*"):
            if path.suffix not in (".py", ".smk") or "benchmarks" in path.parts:
                continue
            text = path.read_text(encoding="utf-8")
            assert not [name for name in names if name in text], path
