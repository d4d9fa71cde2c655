"""Code of the user's own: the one place where a file that the configuration names is run.

A function of it has an address: ``FILE.py:NAME``, or ``package.module:NAME`` of an installed
package.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from selfgen.core import provenance
from selfgen.core.errors import UserError


def load(path: Path, where: str) -> ModuleType:
    """The module that a Python file makes when it is run.

    Raises UserError, which says ``where`` the configuration names it: no such file.
    """
    spec = importlib.util.spec_from_file_location("selfgen_own_code", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{where}: found {path}, allowed: a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except OSError as error:
        raise UserError(f"{where}: cannot read {path}: {error.strerror}") from None
    return module


def function(address: str, where: str, root: Path = Path()) -> Callable[..., Any]:
    """The function of an address; files are found from ``root``.

    Raises UserError, which says ``where`` the configuration names it: there is none.
    """
    place, _, name = address.rpartition(":")
    if is_file(address):
        module = load(root / place, where)
    else:
        try:
            module = importlib.import_module(place)
        except ImportError as error:
            raise UserError(f"{where}: cannot import {place}: {error}") from None
    found = getattr(module, name, None)
    if not callable(found):
        raise UserError(f"{where}: {place} has no function {name}")
    return found


def is_file(address: str) -> bool:
    """Whether an address is of a file, and not of a package."""
    return address.rpartition(":")[0].endswith(".py")


def digest(address: str, root: Path) -> str:
    """Of the code of a function: of its file, or of what its package computes it with.

    Raises UserError: no such file, or no such function in an installed package.
    """
    place = address.rpartition(":")[0]
    if not is_file(address):
        try:
            return provenance.code_digest(address)
        except (ImportError, ValueError) as error:
            raise UserError(
                f"found {address}, allowed: a function of an installed package ({error})"
            ) from None
    if not (root / place).is_file():
        raise UserError(f"found no file {place}")
    try:
        return provenance.source_digest(root / place)
    except SyntaxError as error:
        raise UserError(f"{place}, line {error.lineno}: {error.msg}") from None
