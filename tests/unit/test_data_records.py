"""Building, writing and reading records."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from selfgen.core.errors import UserError
from selfgen.core.hashing import unit
from selfgen.core.rows import write_rows
from selfgen.data import records
from selfgen.data.dataset import DataSet, RecordsSpec, record, split_of
from selfgen.data.pins import Source
from selfgen.data.records import COLUMNS, read
from selfgen.evaluation.metrics import METRICS
from selfgen.tasks import DATASETS
from selfgen.tasks.build import build

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
import test_data_records as t
t.install()
t.build(t.SPEC, {{}})[0].to_parquet(sys.argv[1])
"""
SPEC = RecordsSpec("notes", "made-up", {"test": 5, "train": 20})


def made_up(sources: dict[str, Path], spec: RecordsSpec):
    for i in range(100):
        yield record(
            spec.task,
            f"row-{i}",
            f"Prompt {i}?",
            f"Réference {i}.",
            split=split_of(f"row-{i}"),
            source="made up",
            licence="none",
            kind="odd" if i % 2 else None,
        )


def install() -> None:
    DATASETS["made-up"] = DataSet(made_up, {})


@pytest.fixture(autouse=True)
def _made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "made-up", DataSet(made_up, {}))


def test_rows_of_lowest_hash_in_order() -> None:
    built, _ = build(SPEC, {})
    assert tuple(built.column_names) == COLUMNS
    assert built["split"][:] == ["train"] * 20 + ["test"] * 5
    ids = [f"row-{i}" for i in range(100) if split_of(f"row-{i}") == "train"]
    assert built["id"][:20] == sorted(ids, key=lambda i: unit(i, "pick"))[:20]
    assert {f.dtype for f in built.features.values()} == {"string"}


def test_parquet_keeps_rows_and_bytes(tmp_path: Path) -> None:
    build(SPEC, {})[0].to_parquet(tmp_path / "here.parquet")
    digests = {hashlib.sha256((tmp_path / "here.parquet").read_bytes()).hexdigest()}
    for seed in ("1", "2"):
        path = tmp_path / f"{seed}.parquet"
        script = SCRIPT.format(folder=str(Path(__file__).parent))
        env = {**os.environ, "PYTHONHASHSEED": seed}
        env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        subprocess.run([sys.executable, "-c", script, path], check=True, env=env)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1
    rows = read(path)
    assert rows == build(SPEC, {})[0].to_list()
    assert read(path, ["test"]) == [row for row in rows if row["split"] == "test"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            RecordsSpec("t", "made-up", {"test": 50}),
            r"split test of .* \d+ rows, asked 50",
        ),
        (RecordsSpec("t", "made-up", {"dev": 1}), "no split 'dev'"),
        (RecordsSpec("t", "nothing", {"test": 1}), "'nothing' is not one of"),
        (RecordsSpec("t", "qa", {"test": 1}), "qa reads source 'wiki'"),
    ],
)
def test_refused(spec: RecordsSpec, message: str) -> None:
    with pytest.raises(UserError, match=f"task t: .*{message}"):
        build(spec, {})


def test_ids_are_unique(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(sources, spec):
        for row in made_up(sources, spec):
            yield {**row, "id": "same", "split": "train"}

    monkeypatch.setitem(DATASETS, "made-up", DataSet(twice, {}))
    with pytest.raises(UserError, match="more than once: same"):
        build(RecordsSpec("t", "made-up", {"train": 3}), {})
    built, _ = build(RecordsSpec("t", "made-up", {"train": 1}), {})
    path = tmp_path / "twice.parquet"
    built.select([0, 0]).to_parquet(path)
    with pytest.raises(UserError, match=r"twice\.parquet: ids stand more than once"):
        read(path)


def test_read_refuses_other_files(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with pytest.raises(UserError, match=r"x.parquet: this file is missing"):
        read(path)
    path.write_text("text")
    with pytest.raises(UserError, match=r"x.parquet: found no whole Parquet file: "):
        read(path)
    write_rows(path, [{"id": "a", "split": "test"}])
    with pytest.raises(UserError, match=r"x.parquet: found no column task, prompt, "):
        read(path)


def test_the_registry_is_cheap_to_import() -> None:
    heavy = "'datasets', 'pandas', 'pyarrow', 'torch', 'numpy'"
    script = f"import sys, selfgen.tasks.build; print({{{heavy}}} & set(sys.modules))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "set()"


def test_registry() -> None:
    assert set(DATASETS) >= {
        "news-headlines",
        "wikipedia-descriptions",
        "qa",
        "gsm-symbolic",
    }
    pins: dict[str, Source] = {}
    for dataset in DATASETS.values():
        assert (
            set(dataset.shared_templates) < set(dataset.splits) <= set(records.SPLITS)
        )
        assert "{prompt}" in dataset.template
        assert set(dataset.metrics) <= set(METRICS) and dataset.metrics
        for name, pin in dataset.sources.items():
            assert pins.setdefault(name, pin) == pin, f"{name} is two files"
