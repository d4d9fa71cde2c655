# What every rule's parameters are made of.
import re

from selfgen.core.provenance import code_digest
from selfgen.core.spec import to_json

CONDA = str(ROOT / "envs" / "selfgen.yaml")


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


def code(*modules):
    """Parameter of a rule, the digest of a step's code and of all it imports."""
    digest = code_digest(*modules)
    return lambda wildcards: digest


def memory(gb):
    """So much, and as much again at every further try of a scheduler."""
    return lambda wildcards, attempt: f"{gb * attempt}GB"
