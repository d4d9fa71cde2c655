"""A finished run for an archive: what of it may be passed on, and which job made it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from selfgen import __version__
from selfgen.config.synthetic import Synthetic
from selfgen.core import manifests, own_code, places
from selfgen.core.errors import UserError
from selfgen.core.provenance import PACKAGE
from selfgen.graph import files, paths, scoring
from selfgen.graph.inputs import INPUTS
from selfgen.graph.rules import RULES
from selfgen.graph.workflow import Workflow
from selfgen.methods.base import Trained
from selfgen.report import crate, ship

CODE = (
    *("Snakefile", "workflow", "profiles", "envs", "config/config.yaml"),
    *("config/paper_values.yaml", "docs/reference/bench/h200", "pyproject.toml"),
    *("LICENSE", "CITATION.cff", "codemeta.json"),
)
"""What of the checkout, or of its copy in the package, a run is made with."""

PACKAGES = ("selfgen", "snakemake_logger_plugin_selfgen")
IGNORED = shutil.ignore_patterns("__pycache__", places.INSTALLED)

JOBS = "jobs.csv"
"""When each job ran and what it used, a line each."""

README = """# {name}

A run of selfgen {version}, as a Workflow Run RO-Crate: `ro-crate-metadata.json` says of each
file its SHA-256, and of each job when it ran, what it read and what it wrote.

| Place | What is there |
| :-- | :-- |
| `{config}` | the configuration of the run |
| `results/tables`, `results/figures` | what was found |
| `results/collected` | scores of every example, runs, timings, curves |
| `results/judgments` | without the replies of judges: their manifests tell of whole files |
| `results/**.json` | a manifest for each job: specification, versions, machine, SHA-256 |
| `benchmarks`, `jobs.csv` | time and memory of each job |
| `workflow`, `src`, `envs`, `Snakefile`, `profiles` | the code, and exact pins |

Not here: downloaded texts, what quotes them (records, rows, answers, samples) and weights.
Examples go by the ids that their sources give them.
The workflow makes them again:

```sh
pip install -r envs/requirements.txt && pip install --no-deps .
snakemake --cores all --configfile {config} --directory anew
```

## Licences

What the run made: {licence}. The code: Apache-2.0. What it was made of is not here, and has
licences of its own:

{sources}
"""


def write(workflow: Workflow, config: Sequence[Path], licence: str, out: Path) -> None:
    """Write the run in this folder, by the configuration in the files ``config``, each on top
    of those before it, to the zip ``out``. ``licence``: of what the run made, by its name in
    SPDX.

    Raises UserError: the run is not finished, or not as it was made.
    """
    check(workflow)
    jobs = list(_jobs(workflow))
    with tempfile.TemporaryDirectory(prefix=".archive-", dir=out.parent) as staged:
        folder = Path(staged)
        run = _staged(workflow, config, licence, jobs, folder)
        crate.build(folder, run).write_zip(out)


def _staged(
    workflow: Workflow,
    config: Sequence[Path],
    licence: str,
    jobs: Sequence[crate.Job],
    folder: Path,
) -> crate.Run:
    """The run, whose files are put into ``folder``."""
    results = Path(paths.TABLES).parent
    ship.ship(results, folder / results, Path(places.resources(places.root())))
    put_code(workflow, folder)
    config_places = [_place(file) for file in config]
    for file, place in zip(config, config_places, strict=True):
        _copy(file, folder / place)
    for path in (
        *(Path(file.path) for job in jobs for file in job.writes[-1:]),
        *Path("benchmarks").rglob("*.jsonl"),
    ):
        _copy(path, folder / path)
    _table(jobs, folder / JOBS)
    sources = list(_sources(workflow))
    scale = getattr(workflow.graph, "config", workflow.graph).scale
    name = f"selfgen: {scale}"
    lines = "\n".join(f"- {s.name}: {s.about}; licence: {s.licence}" for s in sources)
    readme = README.format(
        name=name,
        version=__version__,
        config=" ".join(config_places),
        licence=licence,
        sources=lines or "- nothing: all data was made by rule",
    )
    (folder / "README.md").write_text(readme, encoding="utf-8")
    outputs = {
        kind: [
            path.relative_to(folder).as_posix()
            for path in sorted((folder / "results" / kind).iterdir())
            if path.is_file() and path.name != "manifest.json"
        ]
        for kind in ship.FOLDERS
    }
    about = (
        "Language models trained on their own tokens (arXiv 2410.14655): workflow,"
        f" configuration, tables, figures and scores of a run of selfgen {__version__}."
    )
    return crate.Run(name, about, licence, config_places, jobs, sources, outputs)


def check(workflow: Workflow) -> None:
    """Raises UserError: results are missing, or were made by another configuration or other
    code than today's."""
    left, whole = files.unmade(workflow)
    if left:
        raise UserError(
            f"results: found {whole - left} of {whole} files that a run is for, allowed: a"
            " finished run; run the workflow first"
        )
    for job in files.jobs(workflow):
        place = Path(job.outputs[-1])
        made = manifests.read(place)
        wildcards = _Wildcards(job.wildcards)
        spec = json.loads(workflow.spec(job.rule, wildcards))
        for what, now in (
            ("spec", spec),
            ("code", workflow.code(job.rule, wildcards)),
        ):
            if made[what] != now:
                raise UserError(
                    f"{place}: found another {what} than today's, allowed: a finished run;"
                    " run the workflow, which makes it anew"
                )


class _Wildcards(dict[str, str]):
    """Wildcards of a job, as rules are given them."""

    __getattr__ = dict.__getitem__


def _jobs(workflow: Workflow) -> Iterator[crate.Job]:
    """All jobs of the run in the order in which they started, downloads apart, which have no
    manifest."""
    found = []
    for job in files.jobs(workflow):
        *outputs, place = job.outputs
        manifest = manifests.read(Path(place))
        address = "/".join(job.wildcards.values())
        found.append(
            crate.Job(
                name=f"{job.rule} {address}".rstrip(),
                rule=job.rule,
                about=f"{RULES[job.rule].module}:step",
                manifest=manifest,
                reads=list(_reads(workflow, job, manifest)),
                writes=[
                    *(
                        crate.File(p, manifest["outputs"].get(Path(p).name))
                        for p in outputs
                    ),
                    crate.File(place),
                ],
            )
        )
    yield from sorted(found, key=lambda job: (job.manifest["started_at"], job.name))


def _reads(
    workflow: Workflow, job: files.Job, manifest: dict[str, Any]
) -> Iterator[crate.File]:
    """What a job read. Where a file that no job made lies is nobody's business: its name."""
    if job.rule not in INPUTS:
        return
    for name, item in workflow.inputs(job.rule, _Wildcards(job.wildcards)).items():
        several = [item] if isinstance(item, str) else item
        for number, path in enumerate(several):
            key = name if len(several) == 1 else f"{name} {number}"
            digest = manifest["inputs"].get(key)
            if not paths.is_made(path):
                path = f"{digest or 'input'}/{Path(path).name}"
            yield crate.File(path, digest)


def put_code(workflow: Workflow, folder: Path) -> None:
    """Put what the run was made with into ``folder``, the user's own functions among it."""
    root = places.root()
    for name in CODE:
        if (root / name).exists():
            _copy(root / name, folder / name)
    for package in PACKAGES:
        _copy(PACKAGE.parent / package, folder / "src" / package)
    if isinstance(workflow.graph, Synthetic):
        return
    config, own = workflow.graph.config, workflow.graph.root
    named = {name for task in config.tasks for name in scoring.files(config, task)}
    for method in config.methods.values():
        own_functions = method.own_code() if isinstance(method, Trained) else {}
        for address in own_functions.values():
            if own_code.is_file(address):
                named.add(address.rpartition(":")[0])
    for name in sorted(named):
        _copy(own / name, folder / _place(own / name))


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, to, ignore=IGNORED, dirs_exist_ok=True)
    else:
        shutil.copyfile(path, to)


def _place(path: Path) -> str:
    """Where a file of the user's own lies in the archive: as in the folder of the run, or in
    the checkout, or else by its name."""
    for base in (Path(), places.root()):
        if path.resolve().is_relative_to(base.resolve()):
            return os.path.relpath(path, base)
    return path.name


def _sources(workflow: Workflow) -> Iterator[crate.Source]:
    """Data, by what the records say, and models."""
    if isinstance(workflow.graph, Synthetic):
        return
    config = workflow.graph.config
    for task in config.tasks:
        path = Path(paths.fill(paths.RECORDS, task=task))
        manifests.held(path, made=True)
        frame = pd.read_parquet(path, columns=["source", "licence"])
        pairs = frame.drop_duplicates().itertuples(index=False, name=None)
        for number, (source, licence) in enumerate(pairs, 1):
            yield crate.Source(f"data of {task}, {number}", source, licence)
    for name, model in config.models.items():
        said = model.model_dump(exclude_defaults=True)
        said.pop("path", None)  # of somebody's machine
        about = ", ".join(f"{key} {value}" for key, value in said.items())
        yield crate.Source(f"base model {name}", about, "its own")


def _table(jobs: Sequence[crate.Job], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        keys = ("started_at", "wall_seconds", "peak_memory_mb", "device", "precision")
        table.writerow(("job", "rule", *keys, "threads", "gpus"))
        for job in jobs:
            told = [job.manifest.get(key) for key in keys]
            knobs = [job.manifest["run"].get(key) for key in ("threads", "gpus")]
            table.writerow((job.name, job.rule, *told, *knobs))
