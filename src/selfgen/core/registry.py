"""Registries that are made of files: every module of a package that defines one thing; and
what other packages bring."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Collection
from importlib.metadata import entry_points
from typing import Any

from selfgen.core.errors import UserError


def found(package: str, attribute: str) -> dict[str, Any]:
    """``attribute`` of every module of a package that defines it, in the order of their
    names: by the module's name, with ``-`` for ``_``.

    The imports are made here and not by statements, so the code digest of a step holds only
    those modules of the package that the step is said to compute with.
    """
    registry = {}
    folders = sys.modules[package].__path__
    for info in pkgutil.iter_modules(folders, f"{package}."):
        module = importlib.import_module(info.name)
        if hasattr(module, attribute):
            registry[name_of(info.name)] = getattr(module, attribute)
    return registry


def brought(group: str, taken: Collection[str]) -> dict[str, Any]:
    """What installed packages bring by entry points of a group, by their names.

    Raises UserError: a name that is ``taken``, or code that cannot be imported.
    """
    registry: dict[str, Any] = {}
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        where = f"entry point {group}: {point.name} = {point.value}"
        if point.name in taken or point.name in registry:
            raise UserError(f"{where}: found a name that is taken, allowed: another")
        try:
            registry[point.name] = point.load()
        except (ImportError, AttributeError) as error:
            raise UserError(
                f"{where}: found {error}; allowed: what can be imported after {group}"
            ) from None
    return registry


def name_of(module: str) -> str:
    """The name under which a module is registered."""
    return module.rpartition(".")[2].replace("_", "-")


def module_of(package: str, name: str) -> str:
    """The module that is registered under a name."""
    return f"{package}.{name.replace('-', '_')}"
