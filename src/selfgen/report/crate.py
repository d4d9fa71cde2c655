"""A finished run as a Workflow Run RO-Crate: files of a folder, and how each came to be.

Profiles: Provenance Run Crate 0.5 (https://w3id.org/ro/wfrun/provenance/0.5), and with it
Workflow Run Crate, Process Run Crate and Workflow RO-Crate 1.0, on RO-Crate 1.1. One action a
job, by its manifest. Which version of Snakemake started the jobs is in no manifest, so there
is no action of the engine.
"""

from __future__ import annotations

import datetime
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from selfgen import __version__
from selfgen.core.provenance import sha256

VERSION = "1.1"
"""Of RO-Crate, which the profiles below are made for."""

WFRUN = "https://w3id.org/ro/wfrun"
PROFILES = {
    f"{WFRUN}/process/0.5": "Process Run Crate",
    f"{WFRUN}/workflow/0.5": "Workflow Run Crate",
    f"{WFRUN}/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
TERMS = {
    name: f"https://w3id.org/ro/terms/workflow-run#{name}"
    for name in ("sha256", "resourceUsage")
}
"""Of the vocabulary of workflow runs, which RO-Crate 1.1 does not have."""

WORKFLOW = "workflow/Snakefile"
COMPLETED = "http://schema.org/CompletedActionStatus"

TYPES = {
    ".jsonl": "application/jsonl",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".py": "text/x-python",
    ".tex": "application/x-tex",
    ".toml": "application/toml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
"""Of endings that not every machine knows."""

USAGE = {
    "wall_seconds": ("wall time", "SEC"),
    "peak_memory_mb": ("peak memory", "4L"),
}
"""Keys of manifests that say what a job used, with UN/CEFACT's codes of units."""


@dataclass(frozen=True)
class File:
    """A file or folder that a job read or wrote. ``path``: in the archive, or what it would
    be there; ``sha256``: of its content, where it is known."""

    path: str
    sha256: str | None = None


@dataclass(frozen=True)
class Job:
    """A job that was done. ``manifest``: what it says of itself; ``reads`` and ``writes``
    need not be in the archive."""

    name: str
    rule: str
    about: str
    manifest: dict[str, Any]
    reads: Sequence[File]
    writes: Sequence[File]


@dataclass(frozen=True)
class Source:
    """Data or a model that is not in the archive, and under which licence it stands."""

    name: str
    about: str
    licence: str


@dataclass(frozen=True)
class Run:
    """A finished run. ``config``: paths of its configuration in the archive; ``licence``: of
    what it made, by its name in SPDX; ``outputs``: what it was for, paths by kind."""

    name: str
    description: str
    licence: str
    config: Sequence[str]
    jobs: Sequence[Job]
    sources: Sequence[Source]
    outputs: dict[str, list[str]] = field(default_factory=dict)


def build(folder: Path, run: Run) -> ROCrate:
    """The crate of all files below ``folder``."""
    crate = ROCrate(version=VERSION)
    crate.metadata.extra_terms.update(TERMS)
    crate.name, crate.description = run.name, run.description
    licence = f"https://spdx.org/licenses/{run.licence}"
    crate.license = _named(crate, licence, "CreativeWork", name=run.licence)
    crate.root_dataset["conformsTo"] = [
        _named(crate, profile, "CreativeWork", name=name, version=profile[-3:])
        for profile, name in PROFILES.items()
    ]
    files = _files(crate, folder)
    files["README.md"]["about"] = crate.root_dataset
    tools = _tools(crate, run.jobs)
    workflow = files[WORKFLOW]
    workflow["hasPart"] = list(tools.values())
    workflow["step"] = _steps(crate, tools)
    _parameters(crate, workflow, files, run)
    crate.root_dataset["isBasedOn"] = _alone(
        [
            _named(
                crate,
                f"#source/{quote(one.name)}",
                "CreativeWork",
                name=one.name,
                description=one.about,
                license=one.licence,
            )
            for one in run.sources
        ]
    )
    entities = _Entities(crate, files)
    whole = _whole(crate, run, workflow, files)
    crate.root_dataset["mentions"] = [
        whole,
        *(_action(crate, job, tools[job.rule], entities) for job in run.jobs),
    ]
    return crate


def _files(crate: ROCrate, folder: Path) -> dict[str, Any]:
    """All files of the folder, by their path in it."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = path.relative_to(folder).as_posix()
        known = TYPES.get(path.suffix) or mimetypes.guess_type(place)[0]
        said: dict[str, Any] = {
            "name": place,
            "contentSize": str(path.stat().st_size),
            "encodingFormat": known or "text/plain",
            "sha256": sha256(path),
        }
        if place == WORKFLOW:
            said |= {
                "@type": [
                    "File",
                    "SoftwareSourceCode",
                    "ComputationalWorkflow",
                    "HowTo",
                ],
                "name": "selfgen",
                "version": __version__,
                "conformsTo": _named(
                    crate,
                    "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE",
                    "CreativeWork",
                    name="Bioschemas ComputationalWorkflow",
                ),
            }
            files[place] = crate.add_workflow(
                path, place, main=True, lang="snakemake", properties=said
            )
        else:
            files[place] = crate.add_file(path, place, properties=said)
    return files


def _tools(crate: ROCrate, jobs: Sequence[Job]) -> dict[str, Entity]:
    """The steps of the workflow that ran, by rule: each is a command of the package."""
    return {
        job.rule: _named(
            crate,
            f"#tool/{job.rule}",
            "SoftwareApplication",
            name=f"selfgen step {job.rule}",
            description=job.about,
            softwareVersion=__version__,
        )
        for job in jobs
    }


def _steps(crate: ROCrate, tools: dict[str, Entity]) -> list[Entity]:
    return [
        _named(
            crate,
            f"#step/{rule}",
            "HowToStep",
            name=rule,
            position=str(number),
            workExample=tool,
        )
        for number, (rule, tool) in enumerate(tools.items(), 1)
    ]


def _parameters(crate: ROCrate, workflow: Any, files: dict[str, Any], run: Run) -> None:
    """What goes into the workflow and what comes out, with the files of this run."""
    for way, kinds in (
        ("input", {"configuration": run.config}),
        ("output", run.outputs),
    ):
        parameters: list[Entity] = []
        for kind, places in kinds.items():
            examples = [files[place] for place in places]
            parameter = crate.add_formal_parameter(
                kind, "File", f"#parameter/{kind}", valueRequired=True
            )
            parameter["workExample"] = _alone(examples)
            parameters.append(parameter)
            for file in examples:
                file["exampleOfWork"] = parameter
        workflow[way] = _alone(parameters)


class _Entities:
    """What jobs read and wrote: files of the crate, or what is said of others."""

    def __init__(self, crate: ROCrate, files: dict[str, Any]) -> None:
        self.crate, self.files = crate, files
        self.others: dict[str, Entity] = {}

    def of(self, file: File) -> Any:
        if file.path in self.files:
            return self.files[file.path]
        if file.path not in self.others:
            said = {"sha256": file.sha256} if file.sha256 else {}
            self.others[file.path] = _named(
                self.crate,
                f"#not-archived/{quote(file.path)}",
                "CreativeWork",
                name=file.path,
                description="Not in this archive: texts, weights, or what is made again.",
                **said,
            )
        return self.others[file.path]


def _whole(crate: ROCrate, run: Run, workflow: Any, files: dict[str, Any]) -> Any:
    began = min(_began(job) for job in run.jobs)
    ended = max(_began(job) + _seconds(job) for job in run.jobs)
    return crate.add_action(
        workflow,
        "#run",
        object=_alone([files[place] for place in run.config]),
        result=[files[place] for places in run.outputs.values() for place in places],
        properties={
            "name": run.name,
            "description": "From the start of the first job to the end of the last, with the"
            " pauses between them.",
            "startTime": _time(began),
            "endTime": _time(ended),
            "actionStatus": COMPLETED,
        },
    )


def _action(crate: ROCrate, job: Job, tool: Entity, entities: _Entities) -> Any:
    """A job, as its manifest tells of it."""
    identifier = f"#job/{quote(job.name)}"
    packages = ", ".join(f"{k} {v}" for k, v in job.manifest["packages"].items())
    action = crate.add_action(
        tool,
        identifier,
        object=_alone([entities.of(file) for file in job.reads]),
        result=_alone([entities.of(file) for file in job.writes]),
        properties={
            "name": job.name,
            "description": f"{job.about}. Code {job.manifest['code']}, Python"
            f" {job.manifest['python']}, {packages}.",
            "startTime": _time(_began(job)),
            "endTime": _time(_began(job) + _seconds(job)),
            "actionStatus": COMPLETED,
        },
    )
    usage = [
        _named(
            crate,
            f"{identifier}/{key}",
            "PropertyValue",
            name=name,
            propertyID=f"selfgen:{key}",
            unitCode=unit,
            value=str(job.manifest[key]),
        )
        for key, (name, unit) in USAGE.items()
        if job.manifest.get(key) is not None
    ]
    action["resourceUsage"] = _alone(usage)
    return action


def _alone(entities: list[Any]) -> Any:
    """What is one of a kind is no list in JSON-LD."""
    return entities[0] if len(entities) == 1 else entities


def _began(job: Job) -> float:
    return float(job.manifest["started_at"])


def _seconds(job: Job) -> float:
    return float(job.manifest["wall_seconds"])


def _time(seconds: float) -> str:
    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return when.isoformat(timespec="milliseconds")


def _named(crate: ROCrate, identifier: str, kind: str, **said: Any) -> Entity:
    entity = crate.add(ContextEntity(crate, identifier, {"@type": kind}))
    for key, value in said.items():
        entity[key] = value
    return entity
