"""Snakemake's scheduler beside the jobs of a run: it waits for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flow import Flow

JOBS = 40
COUNTING = f"""

rule counts:
    input:
        expand("{{job}}.count", job=range({JOBS})),


rule count:
    output:
        "{{job}}.count",
    shell:
        "ls /proc/$PPID/task | wc -l > {{output}}"
"""
"""Jobs that count the threads of Snakemake."""


def threads(flow: Flow, *arguments: str) -> list[int]:
    """Threads of Snakemake at each job, from the first to the last."""
    done = flow.snakemake("--cores", "1", *arguments, "--", "counts")
    assert done.returncode == 0, done.stdout
    files = sorted(flow.root.glob("*.count"), key=lambda path: path.stat().st_mtime_ns)
    assert len(files) == JOBS
    return [int(path.read_text()) for path in files]


@pytest.mark.slow
def test_a_job_that_has_ended_leaves_no_timer(bare: Flow, tmp_path: Path) -> None:
    flow = bare.copy(tmp_path / "clone")
    with (flow.root / "workflow" / "Snakefile").open("a") as file:
        file.write(COUNTING)
    own = threads(flow)
    assert max(own) <= own[0] + 2
    # A limit that a user sets stays, and with it the timers.
    given = threads(flow, "--max-jobs-per-timespan", "99/1s", "--forceall")
    assert max(given) > given[0] + 4
