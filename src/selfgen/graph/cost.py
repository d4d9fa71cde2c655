"""From the configuration to what a run would take: tokens, parameters, questions to judges.

Counts are what a run takes at most: prompts and answers are of unknown length before they are
there, and are counted at the lengths that the configuration allows.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from selfgen.benchmarks import JUDGED
from selfgen.config import sources as c
from selfgen.config.judging import Endpoint
from selfgen.core.errors import UserError
from selfgen.graph import benchmarks, dialogues, judging, paths
from selfgen.graph.steps import Graph
from selfgen.methods.base import CORRECTION_TOKENS
from selfgen.mixing.blocks import BlocksSpec
from selfgen.models import shapes
from selfgen.report import plan as report
from selfgen.report.plan import (
    DIALOGUE_TOKENS,
    DRAWING,
    READING,
    TRAINING,
    WRITING,
    Asked,
    Disk,
    Work,
)

JUDGE_PROMPT_TOKENS = 256
"""Of what a judge is told beside the texts, about."""


def works(graph: Graph) -> list[Work]:
    """All work of models, one entry for each step, task and model."""
    found = [*_trained(graph), *_passes(graph), *_answers(graph), *_benchmarks(graph)]
    found += _losses(graph)
    merged: dict[tuple[str, str, str], Work] = {}
    for work in found:
        key = (work.step, work.task, work.model)
        merged[key] = merged[key] + work if key in merged else work
    return list(merged.values())


def _trained(graph: Graph) -> list[Work]:
    found = []
    for task, model, checkpoint, seed in graph.trained():
        spec = dialogues.rows(graph, task, checkpoint, seed)
        if isinstance(spec, BlocksSpec):
            tokens = spec.rows * spec.epochs * DIALOGUE_TOKENS
            found.append(Work(TRAINING, task, model, 1, tokens))
            continue
        cost = graph.trained_method(checkpoint).cost(
            spec.prompt.max_prompt_tokens, spec.prompt.max_answer_tokens
        )
        rounds = graph.checkpoints[checkpoint].rounds
        rows = (spec.rows[1] - spec.rows[0]) * spec.epochs
        tokens, before = (n * rows // rounds for n in (cost.trained, cost.before))
        found.append(Work(TRAINING, task, model, 1, tokens, before))
    return found


def _passes(graph: Graph) -> list[Work]:
    """Every pass once, though several methods may read it."""
    found: dict[tuple[str, ...], Work] = {}
    for task, model, checkpoint, seed in graph.trained():
        passed = graph.passed(task, checkpoint)
        if passed is None:
            continue
        spec = passed.spec
        rows = (spec.rows[1] - spec.rows[0]) * spec.epochs * spec.candidates
        prompt, answer = spec.prompt.max_prompt_tokens, spec.prompt.max_answer_tokens
        step = WRITING if spec.kind == "free" else DRAWING
        address = (task, model, passed.generator, passed.name, str(seed))
        found[address] = Work(
            *(step, task, model, 1),
            read=rows * prompt,
            written=rows * answer,
        )
    return list(found.values())


def _answers(graph: Graph) -> list[Work]:
    found = []
    for cell in graph.cells():
        spec = graph.answers(cell.task, cell.method, cell.decoding, cell.seed)
        prompt, answer = spec.prompt.max_prompt_tokens, spec.prompt.max_answer_tokens
        if cell.decoding == "corrected":
            prompt += answer + CORRECTION_TOKENS
        rows = _held_out(graph, cell.task)
        found.append(
            Work(
                *(WRITING, cell.task, cell.model, 1),
                read=rows * prompt,
                written=rows * answer,
            )
        )
    return found


def _losses(graph: Graph) -> list[Work]:
    found = []
    for cell in dialogues.cells(graph):
        rows = dialogues.loss(graph, cell.task, cell.method).rows
        read = rows * DIALOGUE_TOKENS
        found.append(Work(READING, cell.task, cell.model, 1, read=read))
    return found


def _held_out(graph: Graph, task: str) -> int:
    rows = graph.records(task).rows
    return sum(rows[split] for split in graph.record_splits(task))


def _benchmarks(graph: Graph) -> list[Work]:
    found = []
    for name in benchmarks.names(graph):
        for cell in benchmarks.cells(graph, name):
            items, prompt, answer = benchmarks.work(graph, name)
            found.append(
                Work(
                    *(WRITING, cell.task, cell.model, 1),
                    read=items * prompt,
                    written=items * answer,
                )
            )
    return found


def asked(graph: Graph) -> list[Asked]:
    """Questions to judges behind an endpoint."""
    found = []
    for name in judging.names(graph):
        comparison = graph.config.evaluation.win_rates[name]
        judge = graph.config.judges[comparison.judge]
        if not isinstance(judge, Endpoint):
            continue
        orders = 2 if comparison.orders == "both" else 1
        requests = tokens = 0
        for cell in judging.cells(graph, name):
            task = graph.config.tasks[cell.task]
            rows = orders * _held_out(graph, cell.task)
            texts = task.max_prompt_tokens + 2 * task.max_new_tokens
            requests += rows
            tokens += rows * (texts + JUDGE_PROMPT_TOKENS)
        found.append(
            _priced(name, judge, requests, tokens, requests * comparison.max_tokens)
        )
    for name in benchmarks.judged(graph):
        items, prompt, answer = benchmarks.work(graph, name)
        judge, reply = benchmarks.judge(graph, name), JUDGED[name].reply_tokens
        requests = items * len(benchmarks.cells(graph, name))
        texts = prompt + 2 * answer + JUDGE_PROMPT_TOKENS
        found.append(_priced(name, judge, requests, requests * texts, requests * reply))
    return found


def _priced(
    what: str, judge: Endpoint, requests: int, prompts: int, replies: int
) -> Asked:
    dollars = (prompts * judge.input_price + replies * judge.output_price) / 1e6
    return Asked(what, judge.model, requests, prompts, replies, dollars, judge.budget)


def parameters(graph: Graph) -> dict[str, int]:
    """Parameters of every base model, without its weights.

    Raises UserError: a model whose size nothing says.
    """
    return {name: _parameters(graph, name) for name in graph.config.models}


def _parameters(graph: Graph, name: str) -> int:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    model = graph.config.models[name]
    with torch.device("meta"):
        if isinstance(model, c.HubModel) and model.shape:
            return shapes.build(model.shape).num_parameters()
        if isinstance(model, c.RandomModel):
            from selfgen.models.base import create

            return create(graph.model(name))[0].num_parameters()
        local = Path(getattr(model, "path", ""))
        for folder in (Path(paths.fill(paths.BASE, model=name)), local):
            if (folder / "config.json").exists():
                config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
                return AutoModelForCausalLM.from_config(config).num_parameters()
    raise UserError(
        f"plan: models.{name}: its size is not known; say its shape, or make"
        f" results/base/{name} first"
    )


def disk(graph: Graph, sizes: dict[str, int], found: list[Work]) -> Disk:
    """What the run leaves on the disk; ``sizes`` of base models, and the ``found`` works."""
    kept: Counter[str] = Counter()
    rounds: Counter[str] = Counter()
    for _, model, checkpoint, _ in graph.trained():
        if checkpoint == graph.checkpoints[checkpoint].declared:
            kept[model] += 1
            rounds[model] += graph.checkpoints[checkpoint].rounds > 1
    models = graph.config.models.items()
    bases = {k: (sizes[k], isinstance(model, c.HubModel)) for k, model in models}
    return report.disk(bases, kept, rounds, found)
