"""The file of a configuration: read, and what only it shows and no longer what was read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from selfgen.core.errors import UserError

MAX_VALUES = 1_000_000
"""Maximum number of values in a file, each alias counted as what it stands for. The largest
shipped file has some 1,500."""


def read(path: Path) -> dict[str, Any]:
    """The configuration in a file.

    Raises UserError: as ``value``, or it is no mapping.
    """
    raw = value(path)
    if not isinstance(raw, dict):
        raise UserError(
            f"config: {path}: found no keys, allowed: keys and their values"
        )
    return raw


def together(paths: Sequence[Path]) -> dict[str, Any]:
    """The configuration in some files, each on top of those before it, as Snakemake takes
    them. Raises UserError: as ``read``."""
    from snakemake.utils import update_config

    raw: dict[str, Any] = {}
    for path in paths:
        update_config(raw, read(path))
    return raw


def value(path: Path) -> Any:
    """What a YAML file says.

    Raises UserError: as ``check``, or a value in it is none, such as the date 2026-13-45.
    """
    check(path)
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except Exception as error:  # what makes the values raises all kinds
        said = " ".join(str(error).split())[:200]
        raise UserError(f"config: {path}: is no YAML: {said}") from None


def check(path: Path) -> None:
    """Refuse what YAML would take silently, or never end with: a key that stands twice in a
    section, of which it would take the last; anchors that hold themselves, and aliases of
    aliases that stand for more than ``MAX_VALUES``.

    Raises UserError: that, in one line each, or a file that is not there, not UTF-8 or not
    YAML.
    """
    where = f"config: {path.name}"
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(
            f"config: {path}: line {line}: found bytes that are no UTF-8, allowed: UTF-8"
        ) from None
    except OSError as error:
        raise UserError(f"config: {path}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise UserError(f"config: {path}: is no YAML: {said}") from None
    except RecursionError:
        raise UserError(f"{where}: found too many sections in each other") from None
    problems: list[str] = []
    if root and _values(root, "", {}, problems) > MAX_VALUES and not problems:
        problems.append(
            f"found aliases that stand for more than {MAX_VALUES:,} values, allowed: less"
        )
    if problems:
        raise UserError("\n".join(f"{where}: {text}" for text in problems))


def _values(
    node: yaml.Node, path: str, known: dict[int, int | None], problems: list[str]
) -> int:
    """How many values a node stands for. ``known``: those of nodes that were met already,
    None while one is counted; ``problems`` receives keys that stand twice, and anchors that
    hold themselves."""
    if id(node) in known:
        count = known[id(node)]
        if count is None:
            line = node.start_mark.line + 1
            problems.append(
                f"{path.strip('.')}: found the anchor of line {line} in itself"
            )
        return count or 0
    known[id(node)] = None
    count = 1
    if isinstance(node, yaml.SequenceNode):
        count += sum(_values(item, path, known, problems) for item in node.value)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            name, line = f"{path}{key.value}", key.start_mark.line + 1
            if name in lines and key.value != "<<":
                both = f"lines {lines[name]} and {line}"
                problems.append(f"{name}: found twice, in {both}, allowed: once")
            lines[name] = line
            count += 1 + _values(value, f"{name}.", known, problems)
    known[id(node)] = count
    return count
