# Wiring that every rule uses: names, constraints, the two parameters of a step.
import re

from selfgen import specs
from selfgen.provenance import code_digest

# Downloads are shared by all scales; the path is relative, so a moved clone reruns nothing.
RESOURCES = os.path.relpath(os.environ.get("SELFGEN_RESOURCES", ROOT / "resources"))
CONDA = str(ROOT / "envs" / "selfgen.yaml")
TASKS = list(GRAPH.config.tasks)
CELLS = GRAPH.cells()
TRAINED = [
    (task, model, node, seed)
    for task in TASKS
    for model in GRAPH.config.models
    for node, method in GRAPH.config.methods.items()
    if method.mix != "none"
    for seed in GRAPH.seeds(node)
]


def any_of(names):
    return "|".join(map(re.escape, names))


wildcard_constraints:
    task=any_of(TASKS),
    model=any_of(GRAPH.config.models),
    node=any_of(GRAPH.config.methods),
    pass_=r"[a-z0-9.-]+",
    decoding="direct|corrected",
    seed=r"\d+",
    shard=r"\d+",
    source=any_of(GRAPH.sources),


def spec(function, *names):
    """A rule parameter: canonical JSON of what the step reads. A function, since
    Snakemake would take the braces of a string for wildcards."""

    def of(wildcards):
        values = [getattr(wildcards, name) for name in names]
        values = [int(v) if n == "seed" else v for n, v in zip(names, values)]
        return specs.to_json(function(*values))

    return of


def code(module):
    """A rule parameter: the digest of a step's code and of all it imports."""
    digest = code_digest(module)
    return lambda wildcards: digest


def wheel_path(source):
    return f"{RESOURCES}/wheels/{GRAPH.wheel(source).filename}"
