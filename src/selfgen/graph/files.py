"""The files of a run: which job makes each, what it is made of, and what is missing.

Snakemake makes what ``all`` asks for. A file in the middle whose results stand it does not
miss; here it is found.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfgen.config.synthetic import Synthetic
from selfgen.graph import benchmarks, paths
from selfgen.graph.inputs import INPUTS, each_of
from selfgen.graph.workflow import FIGURES, TABLES, Workflow


def _with_manifest(*templates: str) -> tuple[str, ...]:
    return *templates, paths.manifest(templates[0])


OUTPUTS: dict[str, tuple[str, ...]] = {
    "build_records": _with_manifest(paths.RECORDS),
    "check_leakage": (paths.LEAKAGE,),
    "prepare_base": _with_manifest(paths.BASE),
    "generate_pass": _with_manifest(paths.PASSED),
    "mix_rows": _with_manifest(paths.ROWS),
    "finetune": (paths.WEIGHTS, paths.CURVE, paths.TRAINED),
    "choose_rate": _with_manifest(paths.RATE),
    "choose_baseline": _with_manifest(paths.BASELINE),
    "generate_answers": _with_manifest(paths.ANSWERS),
    "score_answers": _with_manifest(paths.SCORES),
    "score_lead_1": _with_manifest(paths.LEAD_1),
    "measure_exposure": _with_manifest(paths.EXPOSURE),
    "measure_steps": _with_manifest(paths.STEPS),
    "measure_model": _with_manifest(paths.MEASURED),
    "show_measures": _with_manifest(*paths.MEASURES.values()),
    "measure_loss": _with_manifest(paths.LOSSES),
    "judge_answers": _with_manifest(paths.JUDGMENTS),
    "answer_benchmark": _with_manifest(paths.REPLIES),
    "collect_results": _with_manifest(*paths.COLLECTED.values(), paths.MANIFESTS),
    "tabulate": _with_manifest(
        *(paths.bound(paths.TABLE, kind=kind) for kind in TABLES)
    ),
    "plot": _with_manifest(*(paths.bound(paths.FIGURE, kind=kind) for kind in FIGURES)),
    "render_samples": _with_manifest(paths.SAMPLES),
}
"""By rule, the templates of the files that it makes; downloads apart, which are fetched
again whenever something must be made of them. Those of benchmarks and of synthetic
experiments are added by ``_outputs``."""

SYNTHETIC_OUTPUTS: dict[str, tuple[str, ...]] = {
    "run_experiment": (
        *(
            paths.bound(paths.SYNTHETIC, kind=kind)
            for kind in ("scores", "positions", "curves")
        ),
        paths.SYNTHETIC_RUN,
    ),
    "collect_experiments": _with_manifest(
        *paths.SYNTHETIC_COLLECTED.values(), paths.MANIFESTS
    ),
}


@dataclass(frozen=True)
class Job:
    """``temporary``: those of its ``outputs`` that go once they have been read."""

    rule: str
    wildcards: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    temporary: tuple[str, ...] = ()


@dataclass(frozen=True)
class Missing:
    """Files of a rule (None: no rule makes them) that are gone, and those made of them that
    are still there, results first."""

    rule: str | None
    files: tuple[str, ...]
    standing: tuple[str, ...]


def jobs(workflow: Workflow) -> list[Job]:
    """All jobs that the results of a run are made by, once each."""
    makers, temporary = list(_makers(workflow)), _temporary(workflow)
    seen: set[str] = set()
    found, todo = [], list(_targets(workflow))
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        if job := _job_of(workflow, makers, temporary, path):
            seen.update(job.outputs)
            found.append(job)
            todo += job.inputs
    return found


def missing(workflow: Workflow) -> list[Missing]:
    """What is not there though something that was made of it, or with it, is. What ``all``
    asks for is left out: Snakemake misses it by itself. So are downloads."""
    every = jobs(workflow)
    makers = {path: job for job in every for path in job.outputs}
    asked = set(_targets(workflow))
    here = {path: Path(path).exists() for job in every for path in job.outputs}
    # What stands, and all that it was made of and with.
    todo = [job for job in every if any(here[path] for path in job.outputs)]
    behind = {id(job): job for job in todo}
    while todo:
        for path in todo.pop().inputs:
            maker = makers.get(path)
            if maker and id(maker) not in behind:
                behind[id(maker)] = maker
                todo.append(maker)
    gone: dict[str | None, list[str]] = {}
    for job in behind.values():
        for path in job.outputs:
            if not here[path] and path not in asked and path not in job.temporary:
                gone.setdefault(job.rule, []).append(path)
        for path in job.inputs:
            own = path not in makers and not workflow.is_download(path)
            if own and not Path(path).exists() and path not in gone.get(None, ()):
                gone.setdefault(None, []).append(path)
    return [
        Missing(rule, tuple(sorted(files)), tuple(_standing(files, every, here, asked)))
        for rule, files in sorted(gone.items(), key=lambda item: item[0] or "")
    ]


def unmade(workflow: Workflow) -> tuple[int, int]:
    """How many results are not there, and how many there are to be."""
    targets = list(_targets(workflow))
    return sum(not Path(path).exists() for path in targets), len(targets)


def _standing(
    files: Sequence[str],
    every: Sequence[Job],
    here: Mapping[str, bool],
    asked: Collection[str],
) -> list[str]:
    """What is there and was made of some files, directly or not, or with them; results
    first."""
    readers: dict[str, list[Job]] = {}
    for job in every:
        for path in (*job.inputs, *job.outputs):
            readers.setdefault(path, []).append(job)
    seen, todo = set(files), list(files)
    while todo:
        for job in readers.get(todo.pop(), ()):
            new = [path for path in job.outputs if path not in seen]
            seen.update(new)
            todo += new
    return sorted(
        (path for path in seen if here.get(path)), key=lambda p: (p not in asked, p)
    )


def _targets(workflow: Workflow) -> Iterator[str]:
    for files in workflow.results().values():
        yield from files


Makers = Iterable[tuple[str, tuple[str, ...], re.Pattern[str]]]
"""Rules, the templates of what each makes, and what the name of one of these looks like."""


def _makers(workflow: Workflow) -> Makers:
    for rule, templates, names in _outputs(workflow):
        for template in templates:
            parts = re.split(r"\{(\w+)\}", template)
            parts[::2] = map(re.escape, parts[::2])
            for i, name in enumerate(parts[1::2]):
                allowed = names.get(name)
                values = "|".join(map(re.escape, allowed)) if allowed else r"[\w.-]+"
                parts[2 * i + 1] = f"(?P<{name}>{values})"
            yield rule, templates, re.compile("".join(parts))


def _outputs(
    workflow: Workflow,
) -> Iterator[tuple[str, tuple[str, ...], dict[str, list[str]]]]:
    """Rules, the templates of what each makes, and the values that wildcards have."""
    if isinstance(workflow.graph, Synthetic):
        found = workflow.results()
        drawn = (*found["tables"], *found["figures"], paths.ABLATIONS)
        yield "render_ablations", drawn, {}
        for rule, templates in SYNTHETIC_OUTPUTS.items():
            yield rule, templates, {"experiment": list(workflow.graph.experiments)}
        return
    names = workflow.names()
    for rule, templates in OUTPUTS.items():
        yield rule, templates, names
    grades = _with_manifest(paths.GRADES)
    for rule, some in (
        ("grade_benchmark", benchmarks.judged(workflow.graph)),
        ("ask_few_shot", benchmarks.few_shot(workflow.graph)),
    ):
        if some:
            yield rule, grades, names | {"benchmark": some}


def _job_of(
    workflow: Workflow, makers: Makers, temporary: Collection[str], path: str
) -> Job | None:
    """The job that makes a file; None of a download or a file of the user's own."""
    for rule, templates, pattern in makers:
        if match := pattern.fullmatch(path):
            wildcards = match.groupdict()
            read = workflow.inputs(rule, wildcards) if rule in INPUTS else {}
            outputs = tuple(template.format(**wildcards) for template in templates)
            weights = [p for p in outputs if p.endswith("/weights")]
            return Job(
                rule,
                wildcards,
                tuple(each_of(read)),
                outputs,
                tuple(weights) if wildcards.get("checkpoint") in temporary else (),
            )
    return None


def _temporary(workflow: Workflow) -> set[str]:
    """Checkpoints whose weights go when nothing needs them any more."""
    if isinstance(workflow.graph, Synthetic):
        return set()
    return set(workflow.names()["temporary"])
