"""From the configuration to what a run would take: tokens, parameters, questions to judges.

At most, prompts and answers are as long as the configuration allows. Expected is what they
take where a data set says how long its texts are (``DataSet.lengths``).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from selfgen.benchmarks import JUDGED
from selfgen.config import sources as c
from selfgen.config.judging import Endpoint
from selfgen.core.errors import UserError
from selfgen.data.prompts import PromptSpec
from selfgen.graph import (
    benchmarks,
    checked,
    dialogues,
    exposure,
    judging,
    measuring,
    paths,
    tuning,
)
from selfgen.graph.steps import Graph
from selfgen.measures import spec as measures
from selfgen.methods.base import CORRECTION_TOKENS
from selfgen.mixing.blocks import BlocksSpec
from selfgen.models import shapes
from selfgen.models.loading import skeleton
from selfgen.report import plan as report
from selfgen.report.plan import (
    DIALOGUE_TOKENS,
    DRAWING,
    MEASURING,
    READING,
    TRAINING,
    WRITING,
    Asked,
    Disk,
    Work,
)
from selfgen.report.spec import Cell
from selfgen.tasks import DATASETS

JUDGE_PROMPT_TOKENS = 256
"""Of what a judge is told beside the texts, about."""

REPLY_TOKENS = 64
"""Of a judge who compares in one sentence and names a winner, about."""

CHARACTERS_OF_A_TOKEN = 4
"""Of English, about."""


Lengths = Callable[[Graph, str, PromptSpec], tuple[int, int]]
"""Tokens of a task's prompts and answers."""


def most(graph: Graph, task: str, prompt: PromptSpec) -> tuple[int, int]:
    """As many as are allowed."""
    return prompt.max_prompt_tokens, prompt.max_answer_tokens


def expected(graph: Graph, task: str, prompt: PromptSpec) -> tuple[int, int]:
    """What the data set says of its texts, and what the template adds to a prompt; as many
    as are allowed where it says nothing."""
    known = DATASETS[graph.config.tasks[task].dataset].lengths
    around = len(prompt.template) // CHARACTERS_OF_A_TOKEN
    allowed = most(graph, task, prompt)
    usual = (known[0] and known[0] + around, known[1])
    return min(usual[0] or allowed[0], allowed[0]), min(
        usual[1] or allowed[1], allowed[1]
    )


def works(graph: Graph, lengths: Lengths = most) -> list[Work]:
    """All work of models, one entry for each step, task and model."""
    parts = (_trained, _passes, _answers, _benchmarks, _losses, _measured)
    merged: dict[tuple[str, str, str], Work] = {}
    for work in itertools.chain.from_iterable(part(graph, lengths) for part in parts):
        key = (work.step, work.task, work.model)
        merged[key] = merged[key] + work if key in merged else work
    return list(merged.values())


def _trained(graph: Graph, lengths: Lengths) -> Iterator[Work]:
    tried = [
        (cell.task, cell.model, cell.method, cell.seed) for cell in tuning.points(graph)
    ]
    for task, model, checkpoint, seed in [*graph.trained(), *tried]:
        spec = dialogues.rows(graph, task, checkpoint, seed)
        if isinstance(spec, BlocksSpec):
            tokens = spec.rows * spec.epochs * DIALOGUE_TOKENS
            yield Work(TRAINING, task, model, 1, tokens)
            continue
        method = graph.trained_method(checkpoint)
        usual = most if method.pairs_from() else lengths
        cost = method.cost(*usual(graph, task, spec.prompt))
        rounds = graph.checkpoints[checkpoint].rounds
        rows = sum((x.rows[1] - x.rows[0]) * x.epochs for x in spec.parts())
        tokens, before, drawn = (
            n * rows // rounds for n in (cost.trained, cost.before, cost.drawn)
        )
        yield Work(TRAINING, task, model, 1, tokens, before)
        if drawn:
            yield Work(DRAWING, task, model, written=drawn)


def _passes(graph: Graph, lengths: Lengths) -> Iterator[Work]:
    """Every pass once, though several methods may read it."""
    seen = set()
    for task, model, checkpoint, seed in graph.trained():
        passed = graph.passed(task, checkpoint)
        file = graph.pass_file(task, model, checkpoint, seed)
        if passed is None or file in seen:
            continue
        seen.add(file)
        spec = passed.spec
        rows = (spec.rows[1] - spec.rows[0]) * spec.epochs * spec.candidates
        prompt, answer = lengths(graph, task, spec.prompt)
        step = WRITING if spec.kind == "free" else DRAWING
        yield _written(step, task, model, rows, prompt, answer)


def _answers(graph: Graph, lengths: Lengths) -> Iterator[Work]:
    for cell in [*graph.cells(), *tuning.answered(graph)]:
        spec = graph.answers(cell.task, cell.method, cell.decoding, cell.seed)
        prompt, answer = lengths(graph, cell.task, spec.prompt)
        if cell.decoding not in ("direct", paths.VALIDATION):
            prompt += answer + CORRECTION_TOKENS
        rows = _held_out(graph, cell.task, cell.decoding)
        yield _written(WRITING, cell.task, cell.model, rows, prompt, answer)


def _benchmarks(graph: Graph, lengths: Lengths) -> Iterator[Work]:
    for name in benchmarks.names(graph):
        items, *size = benchmarks.work(graph, name)
        known = JUDGED[name].lengths if name in JUDGED else None
        if lengths is expected and known:
            size = list(map(min, size, known))
        for cell in benchmarks.cells(graph, name):
            yield _written(WRITING, cell.task, cell.model, items, *size)


def _losses(graph: Graph, lengths: Lengths) -> Iterator[Work]:
    for cell in dialogues.cells(graph):
        rows = dialogues.loss(graph, cell.task, cell.method).rows
        yield Work(READING, cell.task, cell.model, 1, read=rows * DIALOGUE_TOKENS)


def _measured(graph: Graph, lengths: Lengths) -> Iterator[Work]:
    """Errors of steps, errors against an oracle, and all measures. What an oracle reads is
    counted with the model that is held against it."""
    parts: dict[Takes, list[Cell]] = {
        _forced_steps: checked.cells(graph),
        _step_errors: exposure.cells(graph),
        _measures: measuring.cells(graph),
    }
    for takes, cells in parts.items():
        for cell in cells:
            size = lengths(graph, cell.task, graph.prompt(cell.task, cell.method))
            prompts, read, written = takes(graph, cell, *size)
            whole = graph.records(cell.task).rows[graph.record_splits(cell.task)[0]]
            rows = whole if prompts is None else min(whole, prompts)
            yield Work(
                MEASURING,
                cell.task,
                cell.model,
                1,
                read=rows * read,
                written=rows * written,
            )


Takes = Callable[[Graph, Cell, int, int], tuple[int | None, int, int]]
"""How many prompts are asked at most, and how many tokens each takes that are read, and
written; of a prompt and an answer of so many."""


def _forced_steps(
    _: Graph, __: Cell, prompt: int, answer: int
) -> tuple[int | None, int, int]:
    return None, prompt + answer, answer


def _step_errors(
    graph: Graph, cell: Cell, prompt: int, answer: int
) -> tuple[int | None, int, int]:
    """A sample, which is run on, and the reference; both models read them."""
    spec = exposure.spec(graph, cell.task, cell.seed)
    longest = max(answer, spec.length)
    return spec.prompts, prompt + 2 * (2 * prompt + answer + longest), longest


def _measures(
    graph: Graph, cell: Cell, prompt: int, answer: int
) -> tuple[int | None, int, int]:
    spec = measuring.spec(graph, cell.task, cell.model, cell.method, cell.seed)
    has_steps = DATASETS[spec.measure.dataset].checker is not None
    tokens = measures.tokens(
        prompt,
        answer,
        oracle=spec.oracle,
        checked=has_steps,
        length=spec.measure.length,
    )
    return spec.prompts, *tokens


def _written(
    step: str, task: str, model: str, rows: int, prompt: int, answer: int
) -> Work:
    """Of a model that writes ``rows`` answers, with the tokens of a prompt and an answer."""
    return Work(step, task, model, 1, read=rows * prompt, written=rows * answer)


def _held_out(graph: Graph, task: str, decoding: str = "direct") -> int:
    rows = graph.records(task).rows
    return sum(rows[split] for split in graph.answered_splits(task, decoding))


def asked(graph: Graph) -> Iterator[Asked]:
    """Questions to judges behind an endpoint."""
    for name in judging.names(graph):
        comparison = graph.config.evaluation.win_rates[name]
        judge = graph.config.judges[comparison.judge]
        if not isinstance(judge, Endpoint):
            continue
        orders = 2 if comparison.orders == "both" else 1
        requests = prompts = usual = 0
        for cell in judging.cells(graph, name):
            rows = orders * _held_out(graph, cell.task)
            both = []
            for lengths in (most, expected):
                prompt, answer = lengths(graph, cell.task, graph.prompt(cell.task))
                both.append(rows * (prompt + 2 * answer + JUDGE_PROMPT_TOKENS))
            requests, prompts, usual = (
                requests + rows,
                prompts + both[0],
                usual + both[1],
            )
        reply = min(comparison.max_tokens, REPLY_TOKENS)
        yield _priced(
            name,
            judge,
            requests,
            (prompts, requests * comparison.max_tokens),
            (usual, requests * reply),
        )
    for name in benchmarks.judged(graph):
        items, prompt, answer = benchmarks.work(graph, name)
        judge, kind = benchmarks.judge(graph, name), JUDGED[name]
        requests = items * len(benchmarks.cells(graph, name))
        tokens = (prompt + 2 * answer + JUDGE_PROMPT_TOKENS, kind.reply_tokens)
        usual_ones = kind.judged or tokens
        yield _priced(
            name,
            judge,
            requests,
            (requests * tokens[0], requests * tokens[1]),
            (requests * usual_ones[0], requests * usual_ones[1]),
        )


def _priced(
    what: str,
    judge: Endpoint,
    requests: int,
    tokens: tuple[int, int],
    usual: tuple[int, int],
) -> Asked:
    """``tokens`` of prompts and replies at most, and the ``usual`` ones."""
    prices = (judge.input_price, judge.output_price)
    dollars, likely = (
        sum(n * price for n, price in zip(counts, prices, strict=True)) / 1e6
        for counts in (tokens, usual)
    )
    return Asked(what, judge.model, requests, *tokens, likely, dollars, judge.budget)


def parameters(graph: Graph) -> dict[str, int]:
    """Parameters of every base model, without its weights.

    Raises UserError: a model whose size nothing says.
    """
    return {name: _parameters(graph, name) for name in graph.config.models}


def _parameters(graph: Graph, name: str) -> int:
    import torch

    model = graph.config.models[name]
    with torch.device("meta"):
        if isinstance(model, c.HubModel | c.GgufModel) and model.shape:
            return shapes.build(model.shape).num_parameters()
        if isinstance(model, c.RandomModel):
            from selfgen.models.base import create

            return create(graph.model(name))[0].num_parameters()
        local = Path(getattr(model, "path", ""))
        for folder in (Path(paths.fill(paths.BASE, model=name)), local):
            if (folder / "config.json").exists():
                return skeleton(folder).num_parameters()
    raise UserError(
        f"plan: models.{name}: its size is not known; say its shape, or make"
        f" results/base/{name} first"
    )


def disk(graph: Graph, sizes: dict[str, int], works: Sequence[Work]) -> Disk:
    """What the run leaves on the disk; ``sizes`` of base models, and all ``works``."""
    kept: Counter[str] = Counter()
    rounds: Counter[str] = Counter()
    keeps = graph.config.keep_weights
    parents = {checkpoint.parent for checkpoint in graph.checkpoints.values()}
    for _, model, checkpoint, _ in graph.trained():
        if checkpoint == graph.checkpoints[checkpoint].declared:
            kept[model] += keeps or checkpoint in parents
            rounds[model] += graph.checkpoints[checkpoint].rounds > 1
    # Trainings go before answers, so all rates that are tried may lie there at once; where
    # no weights are kept, answers go first.
    points = Counter(cell.model for cell in tuning.points(graph))
    rounds += points if keeps else Counter(dict.fromkeys(kept, 1))
    models = graph.config.models.items()
    bases = {k: (sizes[k], isinstance(model, c.HubModel)) for k, model in models}
    return report.disk(bases, kept, rounds, works)
