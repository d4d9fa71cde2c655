# What all rules are made of: files, parameters, and the one command that runs any step.
import inspect
import re

from snakemake.common import overwrite_function_params

CONDA = call.literal(ROOT / "envs" / "selfgen.yaml")
# The arguments of a job are quoted already: `:q` would quote each of them, three times a job.
STEP = "python -m selfgen step {params.job} --threads {threads} > {log:q} 2>&1"
GUARDED_STEP = STEP + (
    " && python -m selfgen step check_leakage --spec {params.guard:q}"
    " --input records={output.records:q} >> {log:q} 2>&1"
)


def any_of(names):
    """Names, as a wildcard takes them; where there are none, what no name is."""
    return "|".join(map(re.escape, names)) or "-"


def asked(function):
    """A function of a rule. Snakemake looks up its parameters three times a call, which with
    thousands of jobs took an eighth of the time of a plan; here they are looked up once.
    """
    overwrite_function_params(function, inspect.signature(function).parameters)
    return function


def inputs(name):
    """Files of a rule by name. Downloads are pinned, so another one reruns nothing."""

    def flagged(item):
        if not isinstance(item, str):
            return [flagged(path) for path in item]
        return ancient(item) if GRAPH.is_download(item) else item

    @asked
    def of(wildcards):
        found = GRAPH.inputs(name, wildcards)
        return {key: flagged(item) for key, item in found.items()}

    return of


def step(name, run=None):
    """Parameters of a rule. `job`, the arguments of the command, causes no rerun; the others
    do. Functions, since Snakemake would take the braces of a text for wildcards.
    """

    @asked
    def job(wildcards, input, output, resources):
        said = GRAPH.arguments(run or name, wildcards, input, output, resources)
        said += [
            f"--spec={GRAPH.spec(name, wildcards)}",
            f"--code={GRAPH.code(name, wildcards)}",
            *GRAPH.pins(name, wildcards),
        ]
        return f"{GRAPH.step(run or name, wildcards)} {GRAPH.quoted(said)}"

    return {
        "spec": asked(lambda wildcards: GRAPH.spec(name, wildcards)),
        "code": asked(lambda wildcards: GRAPH.code(name, wildcards)),
        "pins": asked(lambda wildcards: GRAPH.pins(name, wildcards)),
        "reads": asked(lambda wildcards: GRAPH.reads(name, wildcards)),
        "job": job,
    }


def memory(gb):
    """So much, and as much again at every further try of a scheduler."""
    return asked(lambda wildcards, attempt: f"{gb * attempt}GB")
