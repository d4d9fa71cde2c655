"""One line for each problem of a configuration."""

from __future__ import annotations

import re
import types
import typing
from typing import Annotated, Any

from pydantic_core import ErrorDetails

from selfgen.core.types import hint


def explain(problem: ErrorDetails, raw: dict[str, Any], root: type) -> str:
    """One line: key path, what was found, what is allowed, the nearest valid key."""
    path, node = [], raw
    for part in problem["loc"]:
        # A discriminated union puts its tag into the location; the file has no such key.
        if isinstance(node, dict) and part not in node:
            if part in (node.get("mix"), node.get("kind")):
                continue
            path.append(str(part))
            break
        # So does a union of a value and a list (``config.several``).
        if not isinstance(node, dict) and not isinstance(part, int):
            continue
        path.append(str(part))
        node = node[part] if isinstance(node, dict | list) else node
    where = ".".join(path)
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "value_error":
        text = str(context["error"])
        # Of this value, or of one below it, which the text then begins with.
        joint = ": " if text.startswith("found ") else "."
        return f"config: {where + joint if where else ''}{text}"
    if kind == "extra_forbidden":
        section = _sections(_at(root, problem["loc"][:-1]))[0]
        near = hint(path[-1], list(section.model_fields))
        return f"config: {where}: unknown key{near}"
    if kind == "missing":
        return f"config: {where}: found nothing, this key is required"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        key = context["discriminator"].strip("'")
        given = context.get("tag")
        sections = _sections(_at(root, problem["loc"]))
        tags = [tag for section in sections for tag in _tags(section)]
        if given is None:
            return f"config: {where}.{key}: found nothing, allowed: {', '.join(tags)}"
        return f"config: {where}.{key}: found {given!r}{hint(given, tags)}"
    given = repr(problem["input"])
    allowed = problem["msg"].removeprefix("Input should be ")
    near = ""
    if kind == "literal_error":
        near = hint(problem["input"], re.findall(r"'([^']+)'", context["expected"]))
        return f"config: {where}: found {given}{near}"
    return f"config: {where}: found {given[:80]}, allowed: {allowed}"


def _at(kind: Any, location: tuple[Any, ...]) -> Any:
    """The type that stands at a location below ``kind``."""
    origin = typing.get_origin(kind)
    if origin is Annotated:
        return _at(typing.get_args(kind)[0], location)
    if not location:
        return kind
    if origin is dict:
        return _at(typing.get_args(kind)[1], location[1:])
    if origin in (typing.Union, types.UnionType):
        sections = _sections(kind)
        if len(sections) == 1:
            return _at(sections[0], location)
        # Of a discriminated union, whose tag is a part of the location.
        tagged = [section for section in sections if location[0] in _tags(section)]
        return _at(tagged[0], location[1:])
    return _at(kind.model_fields[location[0]].annotation, location[1:])


def _sections(kind: Any) -> list[Any]:
    """The sections that a union allows; of a section itself."""
    options = typing.get_args(kind) or (kind,)
    return [option for option in options if hasattr(option, "model_fields")]


def _tags(section: Any) -> tuple[str, ...]:
    fields = (section.model_fields.get(name) for name in ("mix", "kind"))
    return tuple(tag for f in fields if f for tag in typing.get_args(f.annotation))
