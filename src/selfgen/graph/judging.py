"""From the configuration of contests to their cells, files and specs."""

from __future__ import annotations

import csv

from selfgen.config.judging import Endpoint, Judge, Similarity, WinRate
from selfgen.core.errors import UserError
from selfgen.graph import sources
from selfgen.graph.steps import Graph
from selfgen.judge.pairs import template_of
from selfgen.judge.prompt import JUDGE
from selfgen.judge.spec import EndpointSpec, PairsSpec, ProxySpec
from selfgen.report.spec import Cell
from selfgen.report.tables.win_rates import WinRates

PROXIES = {
    "reference": "the answer whose embedding is nearer to the reference's wins.",
    "prompt": "the answer whose embedding is nearer to the prompt's wins.",
    "likelihood": "the answer whose tokens are likelier, on average, to the untouched base"
    " model wins.",
}
MEASURED = {"prompt": "similarity to the prompt", "likelihood": "likelihood"}
"""Proxies whose agreement with a judge was measured, and their rows in its table."""

AGREEMENT = "docs/reference/proxies/agreement.csv"


def check(graph: Graph) -> None:
    """Raises UserError where a contest names a file that is not there, or one that is no
    judge prompt."""
    for name in names(graph):
        judge = _judge(graph, name)
        if isinstance(judge, Similarity):
            graph.source(f"judges.{_contest(graph, name).judge}.source", judge.source)
        if isinstance(judge, Endpoint):
            _template(graph, name)
        if prompt := prompt_file(graph, name):
            sources.whole(graph.files, f"evaluation.win_rates.{name}.prompt", prompt)


def names(graph: Graph) -> list[str]:
    """All contests."""
    return list(graph.config.evaluation.win_rates)


def cells(graph: Graph, name: str) -> list[Cell]:
    """Whose answers stand in a contest: all but the opponent's own."""
    contest = _contest(graph, name)
    tasks = contest.tasks or list(graph.config.tasks)
    return [
        cell
        for cell in graph.cells()
        if cell.task in tasks
        and contest.against in {"reference", *graph.methods(cell.task)}
        and (cell.method, cell.decoding) != (contest.against, "direct")
    ]


def opponents(
    graph: Graph, name: str, task: str, model: str, seed: int | str
) -> list[str]:
    """Files of the opponent's answers; none where it is the reference."""
    against = _contest(graph, name).against
    if against == "reference":
        return []
    own = graph.seeds(task, against)
    seed = seed if int(seed) in own else own[0]
    return graph.answer_shards(task, model, against, "direct", seed)


def scorer(graph: Graph, name: str, model: str) -> str | None:
    """What a proxy scores with: ``wheel NAME`` or ``weights FOLDER``."""
    judge = _judge(graph, name)
    if isinstance(judge, Endpoint):
        return None
    if isinstance(judge, Similarity):
        return f"wheel {judge.source}"
    return f"weights results/base/{model}"


def pairs(graph: Graph, name: str, task: str, seed: int) -> PairsSpec:
    contest, judge = _contest(graph, name), _judge(graph, name)
    common = {
        "split": graph.record_splits(task)[0],
        "seed": seed,
        "prompt": graph.prompt(task),
    }
    if not isinstance(judge, Endpoint):
        similar = isinstance(judge, Similarity)
        proxy = ProxySpec(
            judge.kind,
            graph.device(),
            judge.to if similar else "",
            judge.member if similar else "",
        )
        # A proxy sees no order, so that each pair is one.
        return PairsSpec(**common, proxy=proxy)
    return PairsSpec(
        **common,
        endpoint=endpoint(judge),
        orders=contest.orders,
        unparsable=contest.unparsable,
        **_template(graph, name),
        temperature=contest.temperature,
        max_tokens=contest.max_tokens,
    )


def endpoint(judge: Endpoint) -> EndpointSpec:
    return EndpointSpec(
        judge.model,
        judge.environment,
        judge.concurrency,
        judge.requests_per_minute,
        judge.timeout,
        judge.retries,
        judge.input_price,
        judge.output_price,
        judge.budget,
    )


def words(graph: Graph, name: str) -> WinRates:
    """What the table of a contest says of it."""
    contest, judge = _contest(graph, name), _judge(graph, name)
    proxy = ""
    if not isinstance(judge, Endpoint):
        kind = judge.to if isinstance(judge, Similarity) else judge.kind
        proxy = f"{PROXIES[kind]} {_agreement(graph, kind)}"
    against = contest.against
    return WinRates(
        contest=name,
        judge=f"the proxy {contest.judge}" if proxy else judge.model,
        opponent="the reference"
        if against == "reference"
        else graph.config.methods[against].label,
        proxy=proxy,
        coin=contest.unparsable == "coin",
    )


def _contest(graph: Graph, name: str) -> WinRate:
    return graph.config.evaluation.win_rates[name]


def _judge(graph: Graph, name: str) -> Judge:
    return graph.config.judges[_contest(graph, name).judge]


def prompt_file(graph: Graph, name: str) -> str | None:
    """The fetched file that a judge prompt is read from, by its name in ``files``."""
    prompt = _contest(graph, name).prompt or ""
    found = prompt.partition(":")[0]
    asked = isinstance(_judge(graph, name), Endpoint)
    return found if asked and found in graph.files else None


def _template(graph: Graph, name: str) -> dict[str, str]:
    """The judge prompt, ours or that of a file of the repository, is a part of the spec; of
    a file that is fetched, the name of the text in it."""
    prompt = _contest(graph, name).prompt
    if prompt is None:
        return {"template": JUDGE}
    path, _, constant = prompt.partition(":")
    if prompt_file(graph, name):
        return {"constant": constant}
    where = f"config: evaluation.win_rates.{name}.prompt"
    try:
        text = (graph.root / path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UserError(
            f"{where}: found no text file {path}, and no such name in files:"
            f" {', '.join(graph.files)}"
        ) from None
    try:
        return {"template": template_of(text, constant or None)}
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _agreement(graph: Graph, kind: str) -> str:
    """How far a proxy agrees with a judge, in words, where that was measured."""
    path = graph.root / AGREEMENT
    if kind not in MEASURED or not path.is_file():
        return "How far it agrees with a judge was not measured."
    with path.open(encoding="utf-8", newline="") as file:
        rows = {row["proxy"]: row for row in csv.DictReader(file)}
    row = rows[MEASURED[kind]]
    same, balanced = (100 * float(row[name]) for name in ("agreement", "balanced"))
    return (
        f"Of {row['n']} pairs that GPT-4 had judged it prefers the same answer in"
        f" {same:.0f} %; {balanced:.0f} % where both winners count alike, 50 for a coin"
        " (docs/judges.md)."
    )
