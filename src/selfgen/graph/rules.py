"""The steps of the workflow by the names of its rules, and the code of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from selfgen.runtime.job import KNOBS


@dataclass(frozen=True)
class Rule:
    """``module`` has the function ``step``. ``code``: the modules whose digest says that the
    results are of today's code, where that is not the module itself."""

    module: str
    code: tuple[str, ...] = ()

    @property
    def modules(self) -> tuple[str, ...]:
        return self.code or (self.module,)


RULES = {
    "fetch_wheel": Rule("selfgen.data.wheels"),
    "fetch_file": Rule("selfgen.data.files"),
    "fetch_hub": Rule("selfgen.data.hub"),
    "build_records": Rule("selfgen.tasks.build"),
    "check_leakage": Rule("selfgen.data.leakage"),
    "prepare_base": Rule("selfgen.models.base"),
    "generate_pass": Rule("selfgen.generation.passes"),
    "mix_rows": Rule("selfgen.mixing.step", ("selfgen.mixing.build",)),
    "finetune": Rule("selfgen.training.step", ("selfgen.training.causal",)),
    "generate_answers": Rule("selfgen.generation.answers"),
    "score_answers": Rule("selfgen.evaluation.scores"),
    "score_lead_1": Rule("selfgen.evaluation.lead_1"),
    "measure_exposure": Rule("selfgen.evaluation.oracle"),
    "measure_loss": Rule("selfgen.evaluation.held_out"),
    "judge_answers": Rule("selfgen.judge.comparison"),
    "answer_benchmark": Rule("selfgen.judge.answers"),
    "grade_benchmark": Rule("selfgen.judge.grades"),
    "ask_few_shot": Rule("selfgen.evaluation.few_shot"),
    "collect_results": Rule("selfgen.report.runs"),
    "tabulate": Rule("selfgen.report.tabulate"),
    "plot": Rule("selfgen.report.plot"),
    "render_samples": Rule("selfgen.report.samples"),
    "run_regime": Rule("selfgen.synthetic.run"),
    "collect_regimes": Rule("selfgen.report.synthetic.collect"),
    "render_ablations": Rule("selfgen.report.synthetic.render"),
}


def arguments(
    rule: str,
    wildcards: Any,
    input: Any,
    output: Any,
    resources: Any,
    settings: Mapping[str, str],
) -> list[str]:
    """Arguments of ``selfgen step`` for a job, from what Snakemake knows of it.

    A file without a name is named by its own. Resources that are run knobs are passed on;
    ``settings``: knobs that are the same for all jobs.
    """
    address = "/".join(map(str, wildcards))
    found = [f"--name={rule} {address}".rstrip()]
    for kind, files in (("input", input), ("output", output)):
        found += [f"--{kind}={name}={path}" for name, path in _named(files)]
    if gpus := resources.get("gpu"):
        found.append(f"--gpus={gpus}")
    knobs = dict(settings)
    if "shard" in dict(wildcards.items()):
        knobs["shard"] = wildcards.shard
    knobs |= {name: resources.get(name) for name in KNOBS if resources.get(name)}
    return [*found, *(f"--set={name}={value}" for name, value in knobs.items())]


def _named(files: Any) -> Iterator[tuple[str, str]]:
    for name, item in files._allitems():
        for path in [item] if isinstance(item, str) else item:
            yield name or PurePath(path).name, path
