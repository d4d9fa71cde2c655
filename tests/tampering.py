"""What the jobs of a graph read, taken from the commands that Snakemake would run, and
whether a job notices that somebody touched it."""

from __future__ import annotations

import contextlib
import io
import json
import random
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfgen.cli.main import main
from tests.flow import Flow

COMMAND = "python -m selfgen "


@dataclass(frozen=True)
class Job:
    """A command of a graph, and its options that say files, ``NAME=PATH``, by option."""

    argv: tuple[str, ...]

    @property
    def rule(self) -> str:
        return self.argv[1]

    def files(self, option: str) -> list[tuple[str, str]]:
        start = f"--{option}="
        given = [x.removeprefix(start) for x in self.argv if x.startswith(start)]
        return [(name, value) for name, _, value in (x.partition("=") for x in given)]


def jobs(flow: Flow, *arguments: str) -> list[Job]:
    """All jobs of a graph, made already or not."""
    done = flow.snakemake("-n", "-F", "-p", *arguments)
    assert done.returncode == 0, done.stdout
    found = []
    for line in done.stdout.splitlines():
        if COMMAND in line:
            said = line.partition(COMMAND)[2].partition(" > logs/")[0]
            found.append(Job((*_unfolded(flow, shlex.split(said)),)))
    assert found, done.stdout
    return found


def _unfolded(flow: Flow, argv: list[str]) -> Iterator[str]:
    for argument in argv:
        if argument.startswith("@"):
            yield from (flow.root / argument[1:]).read_text().splitlines()
        else:
            yield argument


def kinds(found: list[Job]) -> dict[tuple[str, str], Job]:
    """A job of each rule and each name of an input, the last one of each."""
    return {
        (job.rule, name): job
        for job in found
        for option in ("made", "input")
        for name, _ in job.files(option)
    }


@dataclass
class Count:
    """What was tried."""

    kinds: int = 0
    files: int = 0
    changes: int = 0


def tamper(flow: Flow, found: list[Job], positions: int = 4) -> Count:
    """Touch one file of each kind in several ways; each time its job must end in one line
    that names it, and say how it is cured. Everything is as before afterwards."""
    count, rng = Count(), random.Random(0)
    with contextlib.chdir(flow.root):
        for (_, name), job in kinds(found).items():
            pinned = {pin for pin, _ in job.files("pin")}
            made = dict(job.files("made"))
            path = Path(made.get(name) or dict(job.files("input"))[name])
            if name not in made and name not in pinned and path.suffix != ".listing":
                continue  # a file of one's own
            count.kinds += 1
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file() and file.name != ".snakemake_timestamp":
                    count.files += 1
                    for change in _changes(file, rng, positions):
                        count.changes += 1
                        _refused(job, path, file, change)
            if name in made:
                count.changes += 1
                _refused_without_manifest(job, path)
    return count


def _changes(
    file: Path, rng: random.Random, positions: int
) -> Iterator[Callable[[bytes], bytes]]:
    """A flipped bit here and there, a part that is lost, one that is doubled, nothing."""
    size = file.stat().st_size
    for place in {0, size - 1, *(rng.randrange(size) for _ in range(positions))}:
        bit = 1 << rng.randrange(8)

        def flip(content: bytes, place: int = place, bit: int = bit) -> bytes:
            return (
                content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
            )

        yield flip
    yield lambda content: content[:-1]
    yield lambda content: content * 2
    yield lambda content: b""


def _refused(
    job: Job, path: Path, file: Path, change: Callable[[bytes], bytes]
) -> None:
    before = file.read_bytes()
    is_json = file.suffix in (".json", ".listing") and not path.is_dir()
    if is_json and _content(change(before)) == _content(before):
        return  # of a manifest its content counts, which says the same
    # Weights may be linked to another folder's.
    file.unlink()
    file.write_bytes(change(before))
    try:
        said = refusal(job)
        assert f"{path}" in said or f"{file}" in said, (job.rule, said)
        assert "delete" in said, said
    finally:
        file.write_bytes(before)


def _content(text: bytes) -> Any:
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return None


def _refused_without_manifest(job: Job, path: Path) -> None:
    """Neither without the manifest beside it, nor without the file itself."""
    stem = path.name if path.is_dir() else path.stem
    places = [path.parent / "manifests" / f"{stem}.json", path.parent / "manifest.json"]
    places += [path.parent / f"{stem}.json"]
    place, *_ = [x for x in places if x.is_file() and x != path] or [path]
    away = place.with_name(f"{place.name}.away")
    shutil.move(place, away)
    try:
        said = refusal(job)
        # Which of several files that it vouched for is named does not matter.
        assert "no manifest beside it" in said or str(place) in said, (job.rule, said)
    finally:
        shutil.move(away, place)


def refusal(job: Job) -> str:
    """The line in which a job ends."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = main([*job.argv])
    assert status == 1, f"{job.rule} noticed nothing"
    line = said.getvalue().splitlines()[-1]
    assert line.startswith("error: "), said.getvalue()
    return line
