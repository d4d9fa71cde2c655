"""What plain Snakemake writes, beside what this project's logger writes."""

from __future__ import annotations

import re
import socket

from tests import plain
from tests.flow import Flow
from tests.shipped import REFERENCE

SMOKE = REFERENCE / "smoke"


def test_the_excerpt_names_no_machine_and_no_folder(bare: Flow) -> None:
    call = ("-n", *plain.PLAIN, "--cores", "1", "--configfile", "config/smoke.yaml")
    said = bare.plain(*call).stdout
    assert str(bare.root) in said and f"Host: {socket.gethostname()}" in said
    command, *lines, end = plain.excerpt("snakemake -n", said).splitlines()
    assert command == "$ snakemake -n" and len(lines) == plain.KEPT
    assert end == f"… {len(said.splitlines())} lines in all"
    assert not [line for line in lines if re.search(r"(?<![\w.])/\w|[Hh]ost:", line)]
    assert any("reason: " in line for line in lines)


def test_the_shipped_terminal_is_shorter_than_that_of_plain_snakemake() -> None:
    before = (SMOKE / "terminal-before.txt").read_text(encoding="utf-8")
    after = (SMOKE / "terminal.txt").read_text(encoding="utf-8").splitlines()
    counts = [int(x) for x in re.findall(r"^… (\d+) lines in all$", before, re.M)]
    assert len(counts) == 2 and min(counts) > 5 * len(after)
    assert not re.search(r"(?<![\w.])/\w|[Hh]ost:", before)
