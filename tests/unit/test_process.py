"""What is set up for a process that computes."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
from selfgen.runtime.process import keep_freed_memory
if {kept}:
    keep_freed_memory()
import numpy

def faults():
    numpy.ones(2**24)  # 128 MB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

print(-faults() + [faults() for _ in range(20)][-1])
"""


def faults(kept: bool) -> int:
    code = FAULTS.format(kept=kept)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_freed_memory_is_not_faulted_in_again() -> None:
    assert faults(kept=True) < faults(kept=False) / 3
