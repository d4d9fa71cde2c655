"""How a local run deals out its cores: none too many, none left over for want of jobs."""

from __future__ import annotations

import os
import re

import pytest

from selfgen.graph.workflow import MODEL_GB
from tests.flow import Flow

TASKS = 3
"""At least as many has the laptop's configuration."""


def threads(planned: str, rule: str) -> set[int]:
    """Threads of a rule's jobs in a dry-run; Snakemake does not print a single one."""
    jobs = re.findall(rf"^rule {rule}:\n((?: .*\n)*)", planned, re.MULTILINE)
    assert jobs
    found = (re.search(r"^ +threads: (\d+)$", job, re.MULTILINE) for job in jobs)
    return {int(match[1]) if match else 1 for match in found}


@pytest.mark.parametrize("cores", [1, 2, 8])
def test_jobs_side_by_side_before_threads(bare: Flow, cores: int) -> None:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    at_once = max(1, min(TASKS, int(memory // MODEL_GB)))
    done = bare.snakemake("-n", "--cores", str(cores))
    assert done.returncode == 0, done.stdout
    for rule in ("finetune", "generate_pass", "generate_answers"):
        (n,) = threads(done.stdout, rule)
        assert n <= cores
        # As many jobs at once as tasks and memory allow, and one thread more would not do.
        assert cores // n >= min(at_once, cores)
        assert cores // (n + 1) < at_once
