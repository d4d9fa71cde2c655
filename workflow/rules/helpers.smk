# What all rules are made of: files, parameters, and the one command that runs any step.
import re

CONDA = literal(ROOT / "envs" / "selfgen.yaml")
STEP = (
    "python -m selfgen step {params.job:q} --spec {params.spec:q} --code {params.code:q}"
    " {params.pins:q} --threads {threads} > {log:q} 2>&1"
)


def any_of(names):
    return "|".join(map(re.escape, names)) or "none"


def inputs(name):
    """Files of a rule by name. Downloads are pinned, so another one reruns nothing."""

    def flagged(item):
        if not isinstance(item, str):
            return [flagged(path) for path in item]
        return ancient(item) if GRAPH.is_download(item) else item

    def of(wildcards):
        found = GRAPH.inputs(name, wildcards)
        return {key: flagged(item) for key, item in found.items()}

    return of


def step(name, run=None):
    """Parameters of a rule. `job`, which begins with the name of the step, causes no rerun;
    the others do. Functions, since Snakemake would take the braces of a text for wildcards.
    """

    def job(wildcards, input, output, resources):
        return GRAPH.arguments(run or name, wildcards, input, output, resources)

    return {
        "spec": lambda wildcards: GRAPH.spec(name, wildcards),
        "code": lambda wildcards: GRAPH.code(name, wildcards),
        "pins": lambda wildcards: GRAPH.pins(name, wildcards),
        "reads": lambda wildcards: GRAPH.reads(name, wildcards),
        "job": job,
    }


def memory(gb):
    """So much, and as much again at every further try of a scheduler."""
    return lambda wildcards, attempt: f"{gb * attempt}GB"
