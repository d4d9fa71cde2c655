"""From a finished run to its page: what of it the page shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from selfgen.config.synthetic import Synthetic
from selfgen.core.errors import UserError
from selfgen.core.provenance import sha256
from selfgen.core.rows import read_frame
from selfgen.data.records import read
from selfgen.graph import paths, synthetic, tables
from selfgen.graph.steps import Graph
from selfgen.report.html import samples, words
from selfgen.report.html.page import Page
from selfgen.report.registry import with_baselines
from selfgen.report.spec import Cell
from selfgen.report.synthetic.captions import captions
from selfgen.report.synthetic.captions import files as figure_files
from selfgen.tasks import DATASETS


def page(run: Graph | Synthetic, command: str) -> Page:
    """Of the run in this folder, which ``command`` makes. Raises UserError: it has no tables
    yet."""
    if isinstance(run, Synthetic):
        return _synthetic(run, command)
    graph = run
    results = Path(paths.TABLES).parent
    folder = Path(paths.TABLES)
    _has(folder / "main.md")
    made = tables.tables(graph)
    main = made["main"]
    inputs = {name: list(map(Path, files)) for name, files in main.inputs.items()}
    spec = with_baselines(main.spec, inputs)
    texts = {
        name: (folder / f"{name}.md").read_text(encoding="utf-8")
        for name in made
        if (folder / f"{name}.md").is_file()
    }
    figures = {
        name: ((Path(paths.FIGURES) / f"{name}.svg").read_bytes(), job.about)
        for name, job in tables.figures(graph).items()
        if (Path(paths.FIGURES) / f"{name}.svg").is_file()
    }
    # Where there is a table of the declared comparisons, they are in no other.
    primary = made.get("claims", main).spec.primary
    methods = [m.label for name, m in graph.config.methods.items() if name in primary]
    asked = " and ".join(methods) if len(methods) < 4 else f"{len(methods)} methods"
    return Page(
        scale=spec.scale,
        question=f"{'Do' if len(methods) > 1 else 'Does'} {asked} do better than"
        f" {spec.baseline_label}?",
        findings=words.findings(folder, spec.labels, spec.confidence),
        tables=texts,
        figures=figures,
        samples={
            task: found
            for task in graph.config.tasks
            if (found := _samples(graph, task, spec, results))
        },
        made=[("Command", [command]), *_made(graph)],
    )


def _synthetic(config: Synthetic, command: str) -> Page:
    spec = synthetic.tables(config)
    titles = {experiment.name: experiment.label for experiment in spec.experiments}
    folder = Path(paths.TABLES)
    made = [Path(name).stem for name in synthetic.results(config)["tables"]]
    _has(folder / "ablations.csv")
    said = captions(spec.confidence)
    return Page(
        scale=config.scale,
        question=f"Small models trained from nothing: {', '.join(titles.values()).lower()}",
        findings=words.synthetic(folder, titles, spec.confidence),
        tables={
            name: path.read_text(encoding="utf-8")
            for name in made
            if name != "figures" and (path := folder / f"{name}.md").is_file()
        },
        figures={
            file: ((Path(paths.FIGURES) / f"{file}.svg").read_bytes(), said[name])
            for name, files in figure_files(spec).items()
            for file in files
        },
        samples={},
        made=[
            ("Command", [command]),
            ("Seeds", [", ".join(map(str, config.seeds))]),
            *_machines(json.loads(Path(paths.MANIFESTS).read_text())),
        ],
    )


def _has(table: Path) -> None:
    if not table.is_file():
        raise UserError(
            f"{table.parent}: found no table {table.stem}; run the workflow first:"
            " selfgen run"
        )


def _samples(graph: Graph, task: str, spec: Any, results: Path) -> list[samples.Sample]:
    records = Path(paths.fill(paths.RECORDS, task=task))
    if not records.is_file():
        return []
    column = next(column for column in spec.columns if column.task == task)
    # That of the untouched model, too
    first = (graph.config.tasks[task].seeds or graph.config.seeds)[0]
    cells = [cell for cell in graph.cells() if cell.task == task and cell.seed == first]
    checker = DATASETS[graph.config.tasks[task].dataset].checker
    scores = read_frame(Path(paths.COLLECTED["scores"]))
    return samples.of_task(
        column,
        read(records, [column.split]),
        samples.read_texts(results, cells, _files),
        scores[(scores["seed"] == first) | (scores["model"] == "-")],
        spec,
        checker.delimiters if checker else None,
    )


def _files(cell: Cell) -> tuple[str, str]:
    return paths.of_cell(paths.ANSWERS, cell), paths.of_cell(paths.STEPS, cell)


def _made(graph: Graph) -> Iterator[tuple[str, Sequence[str]]]:
    """Data with licences, models, versions and machines, from the manifests; digests of the
    records and of all scores."""
    manifests: Mapping[str, Any] = json.loads(Path(paths.MANIFESTS).read_text())
    for task in graph.config.tasks:
        path = Path(paths.fill(paths.RECORDS, task=task))
        if path.is_file():
            frame = pd.read_parquet(path, columns=["source", "licence"])
            pairs = frame.drop_duplicates().itertuples(index=False, name=None)
            said = [f"{source}: {licence}" for source, licence in pairs]
            yield f"Data, {task}", [*said, f"{path}: sha256 {sha256(path)}"]
    scores = Path(paths.COLLECTED["scores"])
    yield "Scores of all examples", [f"{scores}: sha256 {sha256(scores)}"]
    yield "Base models", [*graph.config.models]
    yield "Seeds", [", ".join(map(str, graph.config.seeds))]
    yield from _machines(manifests)


def _machines(manifests: Mapping[str, Any]) -> Iterator[tuple[str, Sequence[str]]]:
    for name, of in (
        ("Versions", lambda m: " ".join(f"{k} {v}" for k, v in m["packages"].items())),
        ("Python", lambda m: m["python"]),
        (
            "Machines",
            lambda m: ", ".join(
                [
                    f"{m['machine']['system']}, {m['machine']['cpus']} cores",
                    *filter(None, [m["machine"].get("cpu")]),
                ]
            ),
        ),
        (
            "Precision",
            lambda m: f"{m.get('device', 'cpu')}, {m.get('precision', 'fp32')}",
        ),
    ):
        counts = Counter(of(manifest) for manifest in manifests.values())
        yield name, [f"{text} ({n} jobs)" for text, n in counts.most_common()]
