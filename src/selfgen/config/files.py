"""What only a configuration's file shows, and no longer what was read from it."""

from __future__ import annotations

from pathlib import Path

import yaml

from selfgen.core.errors import UserError


def check(path: Path) -> None:
    """Refuse a key that stands twice in a section: YAML would take the last one, silently.

    Raises UserError: one line for each such key, with both of its lines.
    """
    root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    problems = _twice(root, "")
    if problems:
        raise UserError("\n".join(f"config: {path.name}: {text}" for text in problems))


def _twice(node: yaml.Node | None, where: str) -> list[str]:
    if isinstance(node, yaml.SequenceNode):
        return [text for item in node.value for text in _twice(item, where)]
    if not isinstance(node, yaml.MappingNode):
        return []
    lines: dict[str, int] = {}
    twice = []
    for key, value in node.value:
        name, line = f"{where}{key.value}", key.start_mark.line + 1
        if name in lines and key.value != "<<":
            both = f"lines {lines[name]} and {line}"
            twice.append(f"{name}: found twice, in {both}, allowed: once")
        lines[name] = line
        twice += _twice(value, f"{name}.")
    return twice
