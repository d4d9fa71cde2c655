"""Code of the user's own: the one place where a file that the configuration names is run."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

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
