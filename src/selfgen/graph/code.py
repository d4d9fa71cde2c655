"""The code that each rule computes with, as one digest."""

from __future__ import annotations

from collections.abc import Callable

from selfgen import methods, tasks
from selfgen.config.synthetic import Synthetic
from selfgen.core import own_code
from selfgen.core.provenance import code_digest, source_digest
from selfgen.graph import benchmarks, dialogues, scoring, tables, tuning
from selfgen.graph.rules import RULES
from selfgen.graph.steps import Graph
from selfgen.methods.base import Trained
from selfgen.training.spec import LOSSES, modules


def _records(graph: Graph, task: str) -> str:
    """The builder and the task's data set."""
    dataset = graph.config.tasks[task].dataset
    return code_digest(RULES["build_records"].module, tasks.module(dataset))


def _scored(graph: Graph, task: str, *modules: str) -> str:
    """Some modules and the metrics of a task, built-in ones and one's own."""
    own = [source_digest(graph.root / p) for p in scoring.files(graph.config, task)]
    built_in = scoring.modules(graph.config, task)
    return "".join([code_digest(*modules, *built_in), *own])


def _scores(graph: Graph, task: str) -> str:
    return _scored(graph, task, RULES["score_answers"].module)


def _steps(graph: Graph, task: str) -> str:
    """The measure, and the checker of the task's data set."""
    dataset = graph.config.tasks[task].dataset
    return code_digest(RULES["measure_steps"].module, tasks.module(dataset))


def _measured(graph: Graph, task: str) -> str:
    """The instrument, and the checker of the task's data set."""
    dataset = graph.config.tasks[task].dataset
    return code_digest(RULES["measure_model"].module, tasks.module(dataset))


def _measures(graph: Graph, task: str) -> str:
    """The page, and the checker of the task's data set, whose steps stand on it."""
    dataset = graph.config.tasks[task].dataset
    return code_digest(RULES["show_measures"].module, tasks.module(dataset))


def _lead_1(graph: Graph, task: str) -> str:
    return _scored(graph, task, RULES["score_lead_1"].module)


def _rows(graph: Graph, task: str, checkpoint: str) -> str:
    """Mixing, and what only some methods read: metrics, a function of one's own."""
    step = dialogues.step(graph, task, checkpoint)
    if step != "mix_rows":
        return code_digest(RULES[step].module)
    method = graph.trained_method(checkpoint)
    modules = [RULES["mix_rows"].module, methods.code(method.mix)]
    if method.checked:
        modules.append(tasks.module(graph.config.tasks[task].dataset))
    if method.graded:
        return _scored(graph, task, *modules)
    return code_digest(*modules) + _own(graph, method, "function")


def _training(graph: Graph, task: str, checkpoint: str) -> str:
    """The loop, and what only some losses compute with."""
    method = graph.trained_method(checkpoint)
    step = tuning.step(graph, task, checkpoint)
    used = code_digest(RULES[step].module, *modules(LOSSES[method.loss]))
    return used + _own(graph, method, "loss_function")


def _own(graph: Graph, method: Trained, key: str) -> str:
    """Of a function of one's own."""
    address = method.own_code().get(key)
    return own_code.digest(address, graph.root) if address else ""


def _in_parts(rule: str, gathering: str) -> Callable[[Graph], str]:
    """Of a file that one job makes, or several and one that gathers their parts: the digest
    is the same however many there are."""

    def of(graph: Graph) -> str:
        return code_digest(RULES[rule].module, RULES[gathering].module)

    return of


def _benchmark(rule: str) -> Callable[[Graph, str], str]:
    def of(graph: Graph, benchmark: str) -> str:
        return code_digest(*benchmarks.code(benchmark, rule))

    return of


def _table(graph: Graph, table: str) -> str:
    modules = tables.tables(graph)[table].modules
    return code_digest(RULES["tabulate"].module, *modules)


def _figure(graph: Graph, figure: str) -> str:
    modules = tables.figures(graph)[figure].modules
    return code_digest(RULES["plot"].module, *modules)


def _experiment(config: Synthetic, experiment: str) -> str:
    section = config.experiments[experiment]
    trained = [m for m in section.methods.values() if isinstance(m, Trained)]
    losses = [module for m in trained for module in modules(LOSSES[m.loss])]
    return code_digest(
        RULES["run_experiment"].module,
        tasks.module(section.task.dataset),
        *map(methods.code, {m.mix for m in trained}),
        *losses,
    )


def _none(graph: Graph) -> str:
    """What is fetched is pinned by its hash, whatever fetches it."""
    return "-"


CODE: dict[str, Callable[..., str]] = {
    "fetch_wheel": _none,
    "fetch_file": _none,
    "fetch_hub": _none,
    "build_records": _records,
    "generate_pass": _in_parts("generate_pass", "gather_pass"),
    "mix_rows": _rows,
    "finetune": _training,
    "generate_answers": _in_parts("generate_answers", "gather_answers"),
    "score_answers": _scores,
    "score_lead_1": _lead_1,
    "measure_steps": _steps,
    "measure_model": _measured,
    "show_measures": _measures,
    "answer_benchmark": _benchmark("answer_benchmark"),
    "grade_benchmark": _benchmark("grade_benchmark"),
    "ask_few_shot": _benchmark("ask_few_shot"),
    "tabulate": _table,
    "plot": _figure,
    "run_experiment": _experiment,
}
"""By rule, where it is not the module of ``RULES`` alone; called as ``inputs.INPUTS``."""
