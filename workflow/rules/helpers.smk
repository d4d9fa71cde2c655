# What all rules are made of: their parameters, and the one command that runs any step.
import re

from selfgen.core.provenance import code_digest
from selfgen.core.spec import to_json
from selfgen.graph.rules import RULES, arguments

CONDA = str(ROOT / "envs" / "selfgen.yaml")
# Downloads are shared by all scales; the path is relative, so a moved clone reruns nothing.
RESOURCES = os.path.relpath(os.environ.get("SELFGEN_RESOURCES", ROOT / "resources"))
# Replies are paid for: they are kept beside the downloads, and shared by all scales.
FOLDERS = {
    "root": os.path.relpath(ROOT),
    "scratch": "scratch",
    "replies": f"{RESOURCES}/replies",
}
STEP = (
    "python -m selfgen step {params.step} --spec {params.spec:q} --code {params.code}"
    " {params.pins:q} {params.job:q} --threads {threads} > {log:q} 2>&1"
)


def any_of(names):
    return "|".join(map(re.escape, names))


def spec(function, *names):
    """Parameter of a rule, the canonical JSON of what the step reads. A function, since
    Snakemake would take the braces of a string for wildcards."""

    def of(wildcards):
        values = [getattr(wildcards, name) for name in names]
        values = [int(v) if n == "seed" else v for n, v in zip(names, values)]
        return to_json(function(*values))

    return of


def step(rule, spec, code=None, pins=()):
    """Parameters of a rule. What depends on inputs, outputs or resources causes no rerun;
    the others do."""

    def job(wildcards, input, output, resources):
        return arguments(rule, wildcards, input, output, resources, FOLDERS)

    return {
        "step": rule,
        "spec": spec,
        "code": code or code_digest(*RULES[rule].modules),
        "pins": pins,
        "job": job,
    }


def memory(gb):
    """So much, and as much again at every further try of a scheduler."""
    return lambda wildcards, attempt: f"{gb * attempt}GB"
