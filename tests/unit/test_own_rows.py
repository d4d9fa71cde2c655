"""A task from files of one's own: formats, columns, splits, and 24 files that are wrong."""

from __future__ import annotations

import bz2
import csv
import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from selfgen import config
from selfgen.core.errors import UserError
from selfgen.core.spec import from_json, to_json
from selfgen.data import tables
from selfgen.data.columns import Columns
from selfgen.data.dataset import OwnSpec, RecordsSpec
from selfgen.data.own_rows import Faults, read, record_of
from selfgen.data.records import asked_text, history_of
from selfgen.graph.inputs import INPUTS
from selfgen.graph.steps import Graph
from selfgen.tasks.build import build

ROWS = [
    {"question": f"What is {n} and one?", "answer": f"It is {n + 1}, é.", "n": n}
    for n in range(60)
]
COLUMNS = Columns("question", "answer")


def write(path: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    """The rows in the format of the path's suffixes."""
    suffix, packed = path.suffix, ""
    if suffix in tables.PACKED:
        suffix, packed = path.with_suffix("").suffix, suffix
    if suffix in (".parquet", ".arrow", ".feather"):
        table = pyarrow.Table.from_pylist(rows)
        if suffix == ".parquet":
            pyarrow.parquet.write_table(table, path)
        elif suffix == ".feather":
            pyarrow.feather.write_feather(table, path)
        else:
            with pyarrow.ipc.new_stream(path, table.schema) as stream:
                stream.write_table(table, max_chunksize=7)
        return path
    plain = path.with_name("plain")
    with plain.open("w", encoding="utf-8", newline="") as file:
        if suffix == ".json":
            json.dump(rows, file, indent=1, ensure_ascii=False)
        elif suffix == ".jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        else:
            mark = "\t" if suffix == ".tsv" else ","
            table = csv.DictWriter(file, list(rows[0]), delimiter=mark)
            table.writeheader()
            table.writerows(rows)
    content = plain.read_bytes()
    packing = {".gz": gzip.compress, ".bz2": bz2.compress, "": bytes}
    if packed == ".zst":
        content = pyarrow.compress(content, codec="zstd", asbytes=True)
    else:
        content = packing[packed](content)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "name",
    [
        *(f"rows{suffix}" for suffix in tables.FORMATS if suffix != ".ndjson"),
        *(f"rows.jsonl{suffix}" for suffix in tables.PACKED),
        *("rows.csv.gz", "rows.json.zst"),
    ],
)
def test_every_format_has_the_same_rows(tmp_path: Path, name: str) -> None:
    found = list(tables.read(write(tmp_path / name)))
    rows = [row | {"n": int(row["n"])} for _, row in found]  # CSV has texts alone
    assert rows == ROWS
    unit, first = ("line", 2 if ".csv" in name or ".tsv" in name else 1)
    if tables.kind_of(Path(name))[0] == "row":
        unit = "row"
    assert found[0][0] == f"{tmp_path / name}: {unit} {first}"


def test_lines_of_csv_are_counted_with_breaks_within_quotes(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('q,a\n"one\ntwo",1\nthree,3\n\n"x, ""y""",4\n', newline="")
    assert [(where.rpartition(" ")[2], row) for where, row in tables.read(path)] == [
        ("2", {"q": "one\ntwo", "a": "1"}),
        ("4", {"q": "three", "a": "3"}),
        ("6", {"q": 'x, "y"', "a": "4"}),
    ]


CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "1"},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "2"},
    {"role": "user", "content": "Thanks."},
]


@pytest.mark.parametrize(
    ("row", "columns", "history", "prompt", "reference"),
    [
        ({"q": "a", "a": "b"}, Columns("q", "a"), 0, "a", "b"),
        (
            {"t": {"title": "T", "n": 3}, "a": "b"},
            Columns("{t.title}\n\n{t.n}: {a}", "<{a}>"),
            *(0, "T\n\n3: b", "<b>"),
        ),
        ({"a.b": "dots", "a": {"b": "deep"}}, Columns("a.b", "a.b"), 0, "dots", "dots"),
        ({"m": CHAT}, Columns(messages="m"), 3, "Two?", "2"),
        (
            {"prompt": CHAT[:4], "completion": CHAT[4:5]},
            Columns("prompt", "completion"),
            *(3, "Two?", "2"),
        ),
        ({"q": "{a}", "a": "b"}, Columns("{q}!", "a"), 0, "{a}!", "b"),
    ],
)
def test_what_a_record_is_made_of(
    row: dict[str, Any], columns: Columns, history: int, prompt: str, reference: str
) -> None:
    own = record_of(row, columns)
    assert (own.prompt, own.reference) == (prompt, reference)
    assert list(own.history) == CHAT[:history]
    assert record_of(row | {"more": 1}, columns) == own  # as its id
    named = replace(columns, id="id")
    assert record_of(row | {"id": 7}, named) == replace(own, id="7")


GOOD = '{"question": "q1", "answer": "a"}\n{"question": "q2", "answer": "b"}\n'

WRONG = {
    "broken.jsonl": (
        GOOD + '\n\n\n{"question": "q3", answer: "c"}\n',
        r"broken\.jsonl: line 6: found broken JSON at column 20: .*; allowed: one object",
    ),
    "cut.jsonl": (
        GOOD + '{"question": "q3", "ans',
        r"line 3: found broken JSON at col",
    ),
    "list.jsonl": (
        GOOD + '["q3", "c"]\n',
        r"line 3: found \['q3', 'c'\], allowed: an o",
    ),
    "latin.jsonl": (
        GOOD.encode() + '{"question": "Wie heißt'.encode("latin-1"),
        r"line 3: found the byte 0xDF at column 22, which is no UTF-8; allowed: UTF-8",
    ),
    "sixteen.csv": (
        "question,answer\n".encode("utf-16"),
        r"line 1: found the byte 0xFF",
    ),
    "misspelt.jsonl": (
        GOOD.replace("question", "qestion"),
        r"no row is a record: .*misspelt\.jsonl: line 1 has no `question`, allowed: answer,"
        r" qestion; nearest: qestion$",
    ),
    "sometimes.jsonl": (
        GOOD + '{"answer": "c"}\n' * 2,
        r"2 rows are no records: .*sometimes\.jsonl: line 3 has no `question`, allowed:"
        r" answer \(as 1 more\); mend them, or leave them out by tasks\.t\.bad_rows: skip",
    ),
    "null.jsonl": (
        GOOD + '{"question": "q3", "answer": null}\n',
        r"line 3 has no text in `answer`, but None",
    ),
    "object.jsonl": (
        GOOD + '{"question": {"en": "q3"}, "answer": "c"}\n',
        r"line 3 has no text in `question`, but \{'en': 'q3'\}",
    ),
    "blank.jsonl": (
        GOOD + '{"question": "q3", "answer": " \\n"}\n',
        r"line 3 is empty in `answer`",
    ),
    "surrogate.jsonl": (
        GOOD + '{"question": "q\\ud800", "answer": "c"}\n',
        r"line 3 has no text in `question`: .*U\+D800",
    ),
    "twice.jsonl": (
        GOOD + GOOD,
        r"2 rows .* line 3 says the same as another row \(as 1",
    ),
    "nothing.jsonl": ("", r"found no rows, allowed: at least one"),
    "blanks.jsonl": ("\n\n", r"found no rows"),
    "header.csv": ("question,answer\n", r"found no rows"),
    "short.csv": ("question,answer\nq,a\nq2\n", r"line 3: found 1 cells, allowed: 2"),
    "long.csv": ("question,answer\nq,a,b\n", r"line 2: found 3 cells, allowed: 2"),
    "names.csv": (
        "question,question\nq,a\n",
        r"line 1: found the column 'question' tw",
    ),
    "quote.csv": ('question,answer\nq,"a\nb,c\n', r"line 2: found broken CSV"),
    "semicolon.csv": (
        "question;answer\nq;a\n",
        r"no `question`, allowed: question;answer",
    ),
    "object.json": ('{"rows": [\n{"question": "q"}]}', r"line 1: found broken JSON"),
    "array.json": (
        '[{"question": "q", "answer": "a"},\n{"question": }]',
        r"array\.json: line 2: found broken JSON at column 14: .* allowed: an array of",
    ),
    "text.parquet": (GOOD, r"text\.parquet: cannot be read as parquet, after 0 rows"),
    "text.jsonl.gz": (GOOD, r"text\.jsonl\.gz: cannot be read as jsonl, after 0 rows"),
}


def records(
    paths: dict[str, Path], **settings: Any
) -> tuple[list[Any], dict[str, Any]]:
    """All rows of some files, through the step's function."""
    rows = settings.pop("rows", {"train": 1, "test": 1})
    own = OwnSpec(settings.pop("columns", COLUMNS), "us", "internal", **settings)
    spec = RecordsSpec("t", "file", rows, own_rows=own)
    assert from_json(RecordsSpec, to_json(spec)) == spec
    built, facts = build(spec, paths)
    return built.to_list(), facts


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, name: str) -> None:
    content, said = WRONG[name]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=said) as refused:
        records({"all.0": path})
    assert "\n" not in str(refused.value) and str(path) in str(refused.value)


def test_rows_that_are_left_out_are_counted(tmp_path: Path) -> None:
    bad = [ROWS[0], {"question": "", "answer": "x"}, {"answer": "y"}, {"question": "z"}]
    files = {
        "train.0": write(tmp_path / "a.jsonl", ROWS[:40] + bad),
        "train.1": write(tmp_path / "b.csv", ROWS[38:45]),
        "test.0": write(tmp_path / "c.json", ROWS[44:]),
    }
    rows, facts = records(files, skip=True, rows={"train": 30, "test": 15})
    # 38, 39 and 44 stand in two files.
    assert facts == {"left_out": {"same": 4, "empty": 1, "missing": 2}, "too_long": 0}
    assert {row["prompt"] for row in rows if row["split"] == "test"} == {
        row["question"] for row in ROWS[45:]
    }
    assert {(r["source"], r["licence"], r["history"]) for r in rows} == {
        ("us", "internal", None)
    }


def test_ids_of_a_column_are_told_apart(tmp_path: Path) -> None:
    columns = replace(COLUMNS, id="n")
    path = write(tmp_path / "rows.parquet", [*ROWS, ROWS[7] | {"answer": "other"}])
    with pytest.raises(UserError, match=r"row 61 has the id of another row, '7'"):
        records({"all.0": path}, columns=columns)
    rows, _ = records({"all.0": path}, columns=columns, skip=True)
    assert all(ROWS[int(row["id"])]["question"] == row["prompt"] for row in rows)


def test_a_prompt_stands_in_one_split_and_stays_there(tmp_path: Path) -> None:
    many = [
        {"question": f"Question {n // 2}?", "answer": f"Answer {n}."}
        for n in range(2000)
    ]

    def splits(rows: list[dict[str, Any]], name: str) -> dict[str, set[str]]:
        path = write(tmp_path / f"{name}.jsonl", rows)
        few = {"train": 300, "validation": 20, "test": 50}
        return {
            split: {r["prompt"] for r in found if r["split"] == split}
            for split in few
            for found in [records({"all.0": path}, rows=few)[0]]
        }

    found = splits(many, "many")
    assert not found["train"] & found["test"] | found["train"] & found["validation"]
    more = splits(
        [*many, *[{"question": "More?", "answer": str(n)} for n in range(9)]], "m"
    )
    # Others may be picked, but none has moved.
    assert not found["train"] & (more["test"] | more["validation"])
    shares = Counter(
        row["split"]
        for row in records(
            {"all.0": write(tmp_path / "x.jsonl", many)},
            rows={"train": 1600, "validation": 60, "test": 160},
        )[0]
    )
    assert shares == {"train": 1600, "validation": 60, "test": 160}


def test_validation_rows_are_training_rows_unless_they_have_files(
    tmp_path: Path,
) -> None:
    files = {
        "train.0": write(tmp_path / "a.jsonl", ROWS[:50]),
        "test.0": write(tmp_path / "b.jsonl", ROWS[50:]),
    }
    few = {"train": 40, "validation": 2, "test": 10}
    rows, _ = records(files, rows=few)
    held_out = {row["prompt"] for row in rows if row["split"] == "validation"}
    assert held_out <= {row["question"] for row in ROWS[:50]}
    files["validation.0"] = write(
        tmp_path / "c.jsonl", [{"question": "v", "answer": "w"}]
    )
    rows, _ = records(files, rows={"train": 50, "validation": 1, "test": 10})
    assert [row["prompt"] for row in rows if row["split"] == "validation"] == ["v"]


def test_memory_holds_the_rows_that_are_asked_for(tmp_path: Path) -> None:
    """Of 20,000 rows of 2 kB, 100 are kept."""
    import tracemalloc

    path = tmp_path / "many.jsonl"
    with path.open("w") as file:
        for n in range(20_000):
            row = {"question": f"{n} " + "word " * 400, "answer": "a"}
            file.write(json.dumps(row) + "\n")
    tracemalloc.start()
    rows, _ = records({"all.0": path}, rows={"train": 50, "test": 50})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(rows) == 100
    assert peak < path.stat().st_size / 4


# The configuration

TASK: dict[str, Any] = {
    "dataset": "file",
    "files": "rows.jsonl",
    "prompt": "question",
    "reference": "answer",
    "source": "our help desk",
    "licence": "internal",
    "train_rows": 8,
    "test_rows": 4,
    "max_new_tokens": 8,
}


def configured(task: dict[str, Any], **more: Any) -> config.Config:
    return config.load(
        {
            "scale": "own",
            "models": {"tiny": {"kind": "random", "model_type": "llama"}},
            "tasks": {"t": {k: v for k, v in task.items() if v is not None}},
            "stages": {"sft": {"learning_rate": 1e-3}},
            "methods": {
                "base": {"label": "Base", "mix": "none"},
                "sft": {"label": "S", "mix": "plain", "parent": "base", "stage": "sft"},
            },
            "evaluation": {"baseline": "sft"},
            **more,
        }
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"files": None}, "files: found nothing, this key is required"),
        ({"licence": None}, "licence: found nothing, this key is required"),
        (
            {"messages": "m"},
            "found messages and prompt and reference, allowed: prompt and",
        ),
        (
            {"prompt": None},
            "found reference, allowed: prompt and reference, or messages",
        ),
        (
            {"prompt": None, "reference": None},
            "found neither prompt nor messages, allowed",
        ),
        (
            {"dataset": "qa"},
            "files: found with dataset 'qa', allowed: only with 'file'",
        ),
        (
            {"files": {"train": "a.csv"}},
            "files: found train, allowed: train and test, with",
        ),
        ({"bad_rows": "drop"}, "bad_rows: found 'drop', allowed: refuse, skip"),
    ],
)
def test_a_configuration_that_is_wrong(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        configured(TASK | given)


def test_files_of_a_task_are_found(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jsonl", "b.jsonl", "tests.csv"):
        (tmp_path / name).write_text("")
    files = {"train": ["[ab].jsonl"], "test": str(tmp_path / "tests.csv")}
    graph = Graph(configured(TASK | {"files": files}))
    assert INPUTS["build_records"](graph, "t") == {
        "train.0": "a.jsonl",
        "train.1": "b.jsonl",
        "test.0": str(tmp_path / "tests.csv"),
    }
    assert graph.records("t").own_rows == OwnSpec(COLUMNS, "our help desk", "internal")
    named = configured(TASK | {"files": "mine"}, files={"mine": {"path": "b.jsonl"}})
    assert INPUTS["build_records"](Graph(named), "t") == {"all.0": "b.jsonl"}
    with pytest.raises(
        UserError,
        match=r"^config: tasks\.t\.files\.all: found no file test\.csv, allowed: a\.jsonl,"
        r" b\.jsonl, tests\.csv; nearest: tests\.csv$",
    ):
        Graph(configured(TASK | {"files": "test.csv"}))


def test_history_is_part_of_what_is_asked(tmp_path: Path) -> None:
    other = [*CHAT[:3], {"role": "user", "content": "Three?"}, CHAT[4]]
    path = tmp_path / "chats.jsonl"
    path.write_text("".join(json.dumps({"m": m}) + "\n" for m in (CHAT, other)))
    faults = Faults()
    owns = [own for _, own in read([path], Columns(messages="m"), faults)]
    assert len({own.id for own in owns}) == 2 and not faults.counts
    rows, _ = records(
        {"train.0": path, "test.0": write(tmp_path / "x.jsonl", [{"m": CHAT[:3]}])},
        columns=Columns(messages="m"),
        rows={"train": 2, "test": 1},
    )
    texts = {row["prompt"]: asked_text(row) for row in rows}
    assert (
        texts["Two?"] == "system: Be brief.\n\nuser: One?\n\nassistant: 1\n\nuser: Two?"
    )
    assert texts["One?"] == "system: Be brief.\n\nuser: One?"
    assert [*history_of(rows[-1])] == CHAT[:1]
