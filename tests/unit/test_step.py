"""The one verb of the workflow: what every step checks, tells and is told."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from selfgen.cli.main import main
from selfgen.core import manifests
from selfgen.core.errors import UserError
from selfgen.core.rows import write_rows
from selfgen.core.spec import Device, to_json
from selfgen.data.leakage import LeakageSpec
from selfgen.data.records import COLUMNS
from selfgen.evaluation.scores import ScoresSpec
from selfgen.graph.rules import RULES
from selfgen.runtime.job import Job, knobs

GUARD = LeakageSpec(13, 0.5, 0.5, (), False)


def records(path: Path) -> Path:
    row = dict.fromkeys(COLUMNS, "") | {
        "id": "a",
        "split": "test",
        "prompt": "One. Two.",
    }
    write_rows(path, [row | {"reference": "One."}])
    return path


def step(name: str, spec: Any, *arguments: str) -> int:
    return main(["step", name, "--spec", to_json(spec), *arguments])


def test_the_manifest_is_written_once_for_all_steps(tmp_path: Path) -> None:
    path = records(tmp_path / "records.parquet")
    out, manifest = tmp_path / "out" / "scores.parquet", tmp_path / "out" / "made.json"
    spec = ScoresSpec(("rouge",), ("test",))
    files = [f"--input=records={path}", f"--output=scores={out}"]
    done = step(
        "score_lead_1", spec, *files, f"--output=manifest={manifest}", "--code=abc"
    )
    assert done == 0
    found = json.loads(manifest.read_text())
    assert found["spec"] == json.loads(to_json(spec))
    assert (
        list(found["inputs"]) == ["records"] and len(found["inputs"]["records"]) == 64
    )
    assert (found["code"], list(found["outputs"])) == ("abc", ["scores.parquet"])
    assert found["wall_seconds"] >= 0 and found["started_at"] > 1e9
    manifest.unlink()
    assert step("score_lead_1", spec, *files) == 0
    assert not manifest.exists(), "only where one is asked for"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "score_lead1"}, "allowed: .*; nearest: score_lead_1"),
        ({"spec": '{"metrics": []}'}, "--spec: not a ScoresSpec: splits: "),
        ({"input": "records"}, "found 'records', allowed: NAME=VALUE"),
        ({"input": "record={records}"}, "--input records=PATH is missing"),
        ({"input": "records=none.parquet"}, "none.parquet: this file is missing"),
        ({"output": "score=x"}, "--output scores=PATH is missing"),
        ({"set": "chards=2"}, "--set: found 'chards', allowed: root, "),
        ({"set": "shard=two"}, "--set shard: found 'two', allowed: int"),
        ({"set": "compile=1"}, "--set compile: found '1', allowed: bool"),
        ({"pin": "records=" + "0" * 64}, "pinned is 000000000000; delete it, and it"),
    ],
)
def test_what_is_refused(
    tmp_path: Path,
    change: dict[str, str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = records(tmp_path / "records.parquet")
    given = {
        "name": "score_lead_1",
        "spec": to_json(ScoresSpec(("rouge",), ("test",))),
        "input": f"records={path}",
        "output": f"scores={tmp_path / 'scores'}",
    } | {key: text.replace("{records}", str(path)) for key, text in change.items()}
    argv = ["step", given.pop("name")]
    argv += [f"--{key}={text}" for key, text in given.items()]
    assert main(argv) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: ")
    assert re.search(said, line), line


def test_what_was_changed_by_hand_is_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a manifest beside it, whoever says that it is an input."""
    path, place = records(tmp_path / "records.parquet"), tmp_path / "records.json"
    manifests.write(place, "build_records", "{}", {}, "", [path], {})
    argv = [f"--output=manifest={tmp_path / 'report.json'}"]
    for option in ("input", "made"):
        assert step("check_leakage", GUARD, f"--{option}=records={path}", *argv) == 0
    path.write_bytes(path.read_bytes() + b"x")
    for option in ("input", "made"):
        assert step("check_leakage", GUARD, f"--{option}=records={path}", *argv) == 1
        said = capsys.readouterr().err
        assert "records.parquet: changed since build_records made it: found" in said
    place.unlink()
    records(path)
    assert step("check_leakage", GUARD, f"--input=records={path}", *argv) == 0
    assert step("check_leakage", GUARD, f"--made=records={path}", *argv) == 1
    assert "no manifest beside it says what it must be" in capsys.readouterr().err


def test_arguments_come_in_a_file(tmp_path: Path) -> None:
    """Many more of them than a command line may have."""
    path, listed = records(tmp_path / "records.parquet"), tmp_path / "a b{c}.txt"
    said = [f"--input=records={path}", f"--output=scores={tmp_path / 'scores'}"]
    listed.write_text(
        "\n".join([*said, *[f"--name=a {{b}} 'c' \"d\" $e {'x' * 99}"] * 2000])
    )
    assert step("score_lead_1", ScoresSpec(("rouge",), ("test",)), f"@{listed}") == 0
    assert (tmp_path / "scores").is_file()


def test_every_step_is_there() -> None:
    for name, rule in RULES.items():
        found = importlib.import_module(rule.module).step
        hints = typing.get_type_hints(found, localns={"Job": Job})
        assert hints["job"] is Job, name


def _devices(kind: Any) -> list[str]:
    """Where a type of specs names its device."""
    if not is_dataclass(kind):
        return [name for part in typing.get_args(kind) for name in _devices(part)]
    hints = typing.get_type_hints(kind)
    return [f.name for f in fields(kind) if hints[f.name] is Device]


def test_every_step_that_runs_a_model_takes_its_gpus_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that needs more than there are is refused before it reads anything."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
    for name in ("SLURM_JOB_ID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    running = set()
    for name, rule in RULES.items():
        if rule.module == "selfgen.generation.gather":
            continue  # it has the spec of what it gathers, and runs no model
        function = importlib.import_module(rule.module).step
        kind = typing.get_type_hints(function, localns={"Job": Job})["spec"]
        kinds = [k for k in typing.get_args(kind) or (kind,) if _devices(k)]
        for one in kinds:
            spec = object.__new__(one)
            for field in _devices(one):
                object.__setattr__(spec, field, Device("cuda"))
            with pytest.raises(UserError, match="GPUs: found 4, needed are 2"):
                function(spec, Job({}, {}, gpus=2, launch=""))
            running.add(name)
    assert len(running) >= 7, running


def test_knobs_have_the_types_of_their_fields() -> None:
    found = knobs(["compile=true", "root=a/b", "micro_batch_tokens=0", "launch="])
    assert found == {
        **{"compile": True, "root": Path("a/b")},
        **{"micro_batch_tokens": 0, "launch": ""},
    }


# What a person types.


def test_help_describes_every_verb_by_group(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert text.index("Before a run:") < text.index("After a run:")
    for verb in ("plan", "bench", "ship", "resume", "completion"):
        assert f"\n  {verb} " in text


def test_a_typo_is_answered_with_the_nearest_verb(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["plam"]) == 2
    assert capsys.readouterr().err.endswith("; nearest: plan\n")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("selfgen ")


def test_bash_completes_verbs_and_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    for words, wanted in (("selfgen pl", "plan"), ("selfgen plan --g", "--gpu")):
        ask = (
            f"{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
            'COMP_LINE="${COMP_WORDS[*]}"; _shtab_selfgen\n'
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "-c", ask],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ,
        )
        assert wanted in done.stdout.split(), done.stderr
