"""The steps of the workflow by the names of its rules, and the code of each."""

from __future__ import annotations

from dataclasses import dataclass


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
    "mix_rows": Rule("selfgen.methods.step", ("selfgen.mixing.build",)),
    "finetune": Rule("selfgen.training.step", ("selfgen.training.causal",)),
    "gather_pass": Rule("selfgen.generation.gather"),
    "gather_answers": Rule("selfgen.generation.gather"),
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
    "run_experiment": Rule("selfgen.synthetic.run"),
    "collect_experiments": Rule("selfgen.report.synthetic.collect"),
    "render_ablations": Rule("selfgen.report.synthetic.render"),
}
