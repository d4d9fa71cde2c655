"""The logger plugin of the default profile: what a user sees of real runs."""

from __future__ import annotations

import os
import pty
import re
import sys
from pathlib import Path

import pytest

from selfgen.cli.main import main
from tests.flow import Flow

SMALL = ("--configfile", "small.yaml")
RECORDS = "results/records/descriptions.parquet"
ROWS = "results/rows/descriptions/tiny/sft/seed0.parquet"


def test_a_dry_run_is_short(bare: Flow, flow: Flow) -> None:
    said = bare.plain("-n").stdout
    assert len(said.splitlines()) < 40, said
    assert re.search(r"^\d{3} jobs would run:$", said, re.MULTILINE)
    assert re.search(r"^  finetune +\d+  missing output files$", said, re.MULTILINE)
    assert "Nothing to be done" in flow.plain("-n", *SMALL).stdout
    flow.replace("small.yaml", "label: BASH", "label: Mixed")
    said = flow.plain("-n", *SMALL).stdout
    assert "  tabulate main\n      " in said and "arams have changed" in said
    assert bare.snakemake("-n").stdout.count("reason:") > 100


@pytest.mark.slow
def test_a_failure_says_what_is_wrong_and_where(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    (flow.root / ROWS).unlink()
    with (flow.root / RECORDS).open("ab") as file:
        file.write(b"x")
    run = ("--cores", "1", *SMALL, "--rerun-triggers", "params", "--", ROWS)
    done = flow.plain(*run)
    assert done.returncode == 1
    name = "mix_rows descriptions/tiny/sft/0"
    assert f"{name} failed\n  error: {RECORDS}: changed since" in done.stdout
    assert "  log: logs/mix_rows/descriptions/tiny/sft/seed0.log\n" in done.stdout
    assert "python -m selfgen step" not in done.stdout
    assert len(done.stdout.splitlines()) < 10, done.stdout
    (log,) = re.findall(r"all lines: (\S+)$", done.stdout, re.MULTILINE)
    assert "python -m selfgen step mix_rows" in (flow.root / log).read_text()
    assert main(["status", str(flow.root)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"0 of 1 jobs done\nfailed: {name}\nended ")


@pytest.mark.slow
def test_a_terminal_shows_a_picture_that_goes(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    (flow.root / ROWS).unlink()
    monkeypatch.chdir(flow.root)
    for name in ("PYTHONPATH", "SELFGEN_RESOURCES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    shown = bytearray()

    def read(terminal: int) -> bytes:
        data = os.read(terminal, 4096)
        shown.extend(data)
        return data

    snakemake = str(Path(sys.executable).parent / "snakemake")
    assert pty.spawn([snakemake, "--cores", "1", *SMALL, "--", ROWS], read) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "0 of 1 jobs" in text and "mix_rows descriptions/tiny/sft/0" in text
    assert "[1/1] mix_rows descriptions/tiny/sft/0: " in text
    assert "1 of 1 jobs done in " in text.splitlines()[-1]
