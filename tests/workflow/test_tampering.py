"""Nothing that a step reads is believed: every kind of file of a graph, touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.rows import read_table
from selfgen.graph.rules import RULES
from tests import tampering
from tests.flow import CONFIGS, Flow

SMALL = ("--configfile", "small.yaml")


@pytest.mark.slow
def test_every_kind_of_file_that_a_step_reads(flow: Flow) -> None:
    before = {p: p.read_bytes() for p in flow.root.rglob("results/**/*") if p.is_file()}
    found = tampering.jobs(flow, *SMALL)
    count = tampering.tamper(flow, found)
    print(count)
    assert count.kinds >= 20 and count.changes > 200
    after = {p: p.read_bytes() for p in flow.root.rglob("results/**/*") if p.is_file()}
    assert after == before, "nothing was written"
