"""Calls of Snakemake that would go wrong late, silently or in hundreds of lines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selfgen.graph.call import FED_BY_THEMSELVES
from selfgen.graph.sources import WHEELS
from tests.conftest import SMALL
from tests.disks import mounted
from tests.flow import Flow, clone
from tests.tools import need

RUN = ("--configfile", "small.yaml", "--cores", "2")
ROWS = "results/rows/descriptions/tiny/sft/seed0.parquet"


def refused(flow: Flow, *arguments: str, **more: str) -> str:
    """The one line that a call ends with."""
    done = flow.snakemake(*arguments, **more)
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout and "\nrule " not in done.stdout
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("given", ["profiles/nope", "nope", "./slrum"])
def test_a_profile_that_is_not_there(bare: Flow, given: str) -> None:
    said = refused(bare, "-n", "--workflow-profile", given)
    assert said == (
        f"--workflow-profile: found no {given}; there are profiles/default,"
        " profiles/generic, profiles/slurm"
    )


@pytest.mark.parametrize(
    "given", ["profiles/slurm", "slurm", "none", "profiles/slurm/profile.yaml"]
)
def test_a_profile_that_is_there(bare: Flow, tmp_path: Path, given: str) -> None:
    """Also where the run has a folder of its own."""
    more = ("--configfile", "config/smoke.yaml", "--directory", str(tmp_path / "run"))
    assert bare.rules("--workflow-profile", given, *more)


def test_what_resume_is_given_is_refused_as_snakemake_refuses_it(bare: Flow) -> None:
    command = ["-m", "selfgen", "resume", "--", "--workflow-profile", "nope"]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=bare.root,
        env=os.environ | {"PYTHONPATH": str(bare.root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert said.startswith("--workflow-profile: found no nope; there are ")


@pytest.mark.parametrize("rule", FED_BY_THEMSELVES)
def test_until_a_rule_that_waits_for_itself(bare: Flow, rule: str) -> None:
    said = refused(bare, "-n", "--configfile", "config/smoke.yaml", "--until", rule)
    instead = FED_BY_THEMSELVES[rule]
    assert said.startswith(f"--until {rule}: ") and f"ask for `{instead}`" in said
    planned = bare.rules("--configfile", "config/smoke.yaml", "--", instead)
    # What follows is not made; but for a control that is matched in wall time, no rule is
    # without which another would do.
    assert "finetune" in planned and "score_answers" not in planned


@pytest.mark.slow
def test_all_models_in_one_call(tmp_path: Path, warm: Callable[[Flow], None]) -> None:
    """What `--until finetune` should do, and Snakemake 9.27 does not."""
    flow = clone(tmp_path / "clone", WHEELS["wiki"].filename)
    shutil.copy2(SMALL, flow.root / "small.yaml")
    warm(flow)
    done = flow.snakemake(*RUN, "--", "trained")
    assert done.returncode == 0, done.stdout
    made = (flow.root / "results/models").rglob("manifest.json")
    assert {path.parts[-3] for path in made} == {"sft", "sft-continued", "bash"}
    assert not (flow.root / "results/answers").exists()


def without_sbatch(folder: Path) -> str:
    """A search path with all programs of the system but those of Slurm."""
    folder.mkdir()
    for place in ("/usr/bin", "/bin"):
        for program in Path(place).iterdir():
            link = folder / program.name
            if program.name != "sbatch" and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("there", ["no Slurm", "a Slurm that does not answer"])
def test_no_slurm_on_this_machine(flow: Flow, tmp_path: Path, there: str) -> None:
    """Nothing is submitted, so nothing old is removed."""
    if there == "no Slurm":
        more = {"PATH": without_sbatch(tmp_path / "bin")}
        expected = "slurm: found no sbatch on PATH; run on a login node of a Slurm"
    else:
        need("sbatch")
        (tmp_path / "slurm.conf").touch()  # one that is missing is waited for
        more = {"SLURM_CONF": str(tmp_path / "slurm.conf")}
        expected = "slurm: does not answer: squeue: "
    flow.replace("small.yaml", "learning_rate: 5.0e-4", "learning_rate: 6.0e-4")
    before = {path: path.stat().st_mtime_ns for path in flow.root.glob("results/**/*")}
    profile = ("--workflow-profile", "profiles/slurm", *RUN[:2])
    assert refused(flow, *profile, **more).startswith(expected)
    after = {path: path.stat().st_mtime_ns for path in flow.root.glob("results/**/*")}
    assert after == before
    assert not list((flow.root / ".snakemake/locks").glob("*"))


@pytest.mark.slow
def test_braces_blanks_and_quotes_in_the_path_of_the_clone(
    tmp_path: Path, warm: Callable[[Flow], None]
) -> None:
    flow = clone(tmp_path / "a{b} c'd" / "{task}", WHEELS["wiki"].filename)
    shutil.copy2(SMALL, flow.root / "small.yaml")
    warm(flow)
    done = flow.snakemake(*RUN, "--", ROWS)
    assert done.returncode == 0, done.stdout
    assert (flow.root / ROWS).exists()
    elsewhere = ("--directory", str(tmp_path / "run"))
    said = refused(flow, "-n", *RUN, *elsewhere)
    assert "downloads cannot lie in a folder with braces" in said
    assert "SELFGEN_RESOURCES" in said


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    with mounted(tmp_path / "disk", "64k") as folder:
        yield folder


def test_a_full_disk_of_temporary_files(bare: Flow, disk: Path) -> None:
    said = refused(bare, "--cores", "1", "--", "results/none", TMPDIR=str(disk))
    assert said == (
        f"{disk}: No space left on device; name a folder for temporary files by TMPDIR"
    )


@pytest.mark.slow
def test_a_home_that_may_not_be_written(flow: Flow, disk: Path, tmp_path: Path) -> None:
    """As docs/reliability.md says: another folder for caches."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    flow.server = None
    home = {"HOME": str(disk), "XDG_CACHE_HOME": ""}
    assert flow.snakemake(*RUN, "-n", **home).returncode != 0
    home["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    again = ("--forcerun", "score_answers", "plot")
    done = flow.snakemake(*RUN, *again, **home)
    assert done.returncode == 0, done.stdout
    assert flow.rules(*RUN) == {}
