"""What a run made, as others take it: rows and drafts as a dataset, a trained model as a
folder, each with a card that says how it came to be."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from selfgen import __version__
from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.rows import read_rows, write_rows
from selfgen.core.types import hint
from selfgen.data.records import asked_text, read
from selfgen.graph import paths
from selfgen.graph.steps import Graph
from selfgen.methods.base import Trained

PAPER = "arXiv 2410.14655"

DATA = "data/train.parquet"
"""Where a hub looks for the rows of a dataset."""


@dataclass(frozen=True)
class Export:
    """What is exported: a trained method of a task, a base model and a seed."""

    graph: Graph
    task: str
    method: str
    model: str
    seed: int

    @classmethod
    def of(
        cls,
        graph: Graph,
        method: str,
        task: str | None = None,
        model: str | None = None,
        seed: int | None = None,
    ) -> Export:
        """By default of the only task, of its only base model and of the first seed.

        Raises UserError: several, of which none is named, or as ``Export``.
        """
        task = task or _only("--task", list(graph.config.tasks))
        _known("--task", task, list(graph.config.tasks))
        model = model or _only("--model", graph.models(task))
        seeds = graph.config.tasks[task].seeds or graph.config.seeds
        return cls(graph, task, method, model, seeds[0] if seed is None else seed)

    def __post_init__(self) -> None:
        """Raises UserError: a name that the configuration does not have, or nothing that
        was trained."""
        trained = [
            name
            for name, one in self.graph.methods(self.task).items()
            if isinstance(one, Trained)
        ]
        _known("--method", self.method, trained)
        _known("--model", self.model, self.graph.models(self.task))
        seeds = self.graph.seeds(self.task, self.method)
        _known("--seed", str(self.seed), [str(seed) for seed in seeds])

    @property
    def address(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "model": self.model,
            "checkpoint": self.method,
            "seed": self.seed,
        }

    def rows(self, out: Path) -> None:
        """Training rows with the texts that they are made of."""
        path = _made(paths.fill(paths.ROWS, **self.address))
        texts = self._texts()
        rows = (row | texts.get(row["id"], {}) for row in read_rows(path))
        self._dataset(out, rows, path, "Training rows")

    def drafts(self, out: Path) -> None:
        """What the model wrote or drew itself, with the texts that it stands beside.

        Raises UserError: a method that reads no pass.
        """
        file = self.graph.pass_file(self.task, self.model, self.method, self.seed)
        if file is None:
            reading = [
                name
                for name in self.graph.methods(self.task)
                if self.graph.pass_file(self.task, self.model, name, self.seed)
            ]
            raise UserError(
                f"--method: found {self.method!r}, which reads no self-generated tokens,"
                f" allowed: {', '.join(reading)}"
            )
        path = _made(file)
        texts = self._texts()
        rows = (row | texts.get(row["id"], {}) for row in read_rows(path))
        self._dataset(out, rows, path, "Self-generated tokens")

    def weights(self, out: Path) -> None:
        """The trained model, as transformers loads it.

        Raises UserError: its weights were not kept.
        """
        folder = Path(paths.fill(paths.WEIGHTS, **self.address))
        if not folder.is_dir():
            raise UserError(
                f"{folder}: not there; a run keeps weights where keep_weights is true"
            )
        _made(str(folder))
        shutil.copytree(folder, out, dirs_exist_ok=True)
        head = {
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "tags": ["selfgen", self._method().mix],
        }
        manifest = manifests.read(Path(paths.fill(paths.TRAINED, **self.address)))
        body = [
            f"# {self.graph.config.scale}: {self._method().label} on {self.task}",
            "",
            f"A causal language model fine-tuned with selfgen {__version__} ({PAPER}).",
            "",
            *self._how(manifest),
            *self._scores(),
        ]
        _card(out, head, body)

    def _method(self) -> Trained:
        return self.graph.trained_method(self.method)

    def _texts(self) -> dict[str, dict[str, str]]:
        """What is asked and answered, by id."""
        path = _made(paths.fill(paths.RECORDS, task=self.task))
        return {
            record["id"]: {
                "prompt": asked_text(record),
                "reference": record["reference"],
            }
            for record in read(path)
        }

    def _dataset(
        self, out: Path, rows: Iterator[dict[str, Any]], path: Path, what: str
    ) -> None:
        (out / DATA).parent.mkdir(parents=True, exist_ok=True)
        write_rows(out / DATA, rows)
        manifest = manifests.read(path.with_suffix(".json"))
        head = {
            "configs": [{"config_name": "default", "data_files": DATA}],
            "tags": ["selfgen", self._method().mix],
        }
        body = [
            f"# {what}: {self._method().label} on {self.task}",
            "",
            f"Made with selfgen {__version__} ({PAPER}), for one model and one seed.",
            "",
            *self._how(manifest),
        ]
        _card(out, head, body)

    def _how(self, manifest: dict[str, Any]) -> Iterator[str]:
        """Where all of it is from."""
        config = self.graph.config
        records = read(_made(paths.fill(paths.RECORDS, task=self.task)))
        rights = sorted({(r["source"], r["licence"]) for r in records})
        chain = [self.method]
        while parent := self.graph.checkpoints[chain[-1]].parent:
            chain.append(parent)
        base = config.models[self.model].model_dump(exclude_defaults=True)
        if base["kind"] == "local":
            base.pop("path")  # of somebody's machine
        yield "## How it was made"
        yield ""
        yield f"- Base model: {self.model} ({_said(base)}). Its own licence holds."
        yield f"- Chain: {' from '.join(chain)}; seed {self.seed}."
        keys = self._method().model_dump(exclude_defaults=True)
        yield f"- Method: {_said(keys)}."
        stage = self.graph.stage(self.task, self._method())
        yield f"- Stage: {_said(stage.model_dump(exclude_defaults=True))}."
        for source, licence in rights:
            yield f"- Data: {source}; licence: {licence}. It may not allow passing texts on."
        packages = ", ".join(f"{k} {v}" for k, v in manifest["packages"].items())
        yield f"- Code {manifest['code']}, Python {manifest['python']}, {packages}."
        yield ""

    def _scores(self) -> Iterator[str]:
        """The lines of the main table, where it is made."""
        table = Path(paths.fill(paths.TABLE, table="main", kind="csv"))
        if not table.is_file():
            return
        _made(str(table))
        with table.open(encoding="utf-8", newline="") as file:
            found = [
                row
                for row in csv.DictReader(file)
                if (row["task"], row["method"]) == (self.task, self.method)
                and row["model"] in (self.model, "-")
                and row["mean"]
            ]
        yield "## Scores"
        yield ""
        yield "| Split | Metric | Answers | n | Seeds | Mean | 95% interval |"
        yield "| :-- | :-- | :-- | --: | --: | --: | --: |"
        for row in found:
            low, high = (f"{100 * float(row[k]):.1f}" for k in ("low", "high"))
            yield (
                f"| {row['split']} | {row['metric']} | {row['decoding']} | {row['n']} |"
                f" {row['seeds']} | {100 * float(row['mean']):.1f} | [{low}, {high}] |"
            )
        yield ""
        yield "In percent, over seeds and items; the folder holds the model of one seed."


def _only(key: str, names: list[str]) -> str:
    if len(names) > 1:
        raise UserError(f"{key}: found nothing, allowed: {', '.join(names)}")
    return names[0]


def _known(where: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise UserError(f"{where}: found {value!r}{hint(value, list(allowed))}")


def _made(file: str) -> Path:
    """A file or folder of the run.

    Raises UserError: it is not there, or not as it was made.
    """
    path = Path(file)
    manifests.held(path, made=True)
    return path


def _said(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def _card(out: Path, head: dict[str, Any], body: Sequence[str]) -> None:
    """``README.md``, as hubs show it."""
    text = "\n".join(body).rstrip()
    (out / "README.md").write_text(
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n{text}\n", encoding="utf-8"
    )
