"""The page of the library, from its signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from typing import Any

import selfgen

HEAD = """# The library

What `import selfgen` offers, written from its docstrings by `selfgen manual`. How it is used:
[other trainers](trainers.md).
"""


def page() -> str:
    """Every name of ``selfgen.__all__``."""
    return "\n".join([HEAD, *(_section(name) for name in selfgen.__all__)])


def _section(name: str) -> str:
    found = getattr(selfgen, name)
    text = _markdown(inspect.getdoc(found) or "")
    return f"## `{name}`\n\n```python\n{_signature(name, found)}\n```\n\n{text}\n"


def _signature(name: str, found: Any) -> str:
    if inspect.isclass(found) and issubclass(found, Exception):
        return f"class {name}(Exception)"
    signature = inspect.signature(found)
    parts, before = [], None
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and before not in (
            one.KEYWORD_ONLY,
            one.VAR_POSITIONAL,
        ):
            parts.append("*")
        parts.append(_parameter(one))
        before = one.kind
    end = signature.return_annotation
    returned = f" -> {end}" if isinstance(end, str) and end != "None" else ""
    inner = "".join(f"    {part},\n" for part in parts)
    return f"selfgen.{name}(\n{inner}){returned}"


def _parameter(one: inspect.Parameter) -> str:
    marks: dict[Any, str] = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}
    stars = marks.get(one.kind, "")
    kind = re.sub(r"^Annotated\[(\w+),.*", r"\1", str(one.annotation))
    default = getattr(one.default, "__name__", repr(one.default))
    ends = "" if one.default is one.empty else f" = {default}"
    return f"{stars}{one.name}: {kind}{ends}"


def _markdown(text: str) -> str:
    """A docstring: names in single backticks, arguments as a list."""
    lines: list[str] = []
    listing = False
    for line in text.replace("``", "`").splitlines():
        if line.startswith(">>> "):
            lines.append(f"    {line[4:]}")
        elif line in ("Args:", "Raises:"):
            listing = True
            lines += [f"**{'Arguments' if line == 'Args:' else 'Raises'}**", ""]
        elif listing and (item := re.match(r" {4}(?! )([\w, ]+): (.*)", line)):
            names = ", ".join(f"`{n.strip()}`" for n in item[1].split(","))
            lines.append(f"- {names}: {item[2]}")
        elif listing and line.startswith("        "):
            lines.append(f"  {line.strip()}")
        else:
            listing = listing and not line
            lines.append(line)
    return "\n".join(lines)
