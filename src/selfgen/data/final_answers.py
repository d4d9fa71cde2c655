r"""The final answer in a worked solution: after ``####``, or in a box."""

from __future__ import annotations

import re

from selfgen.core.errors import UserError

_FINAL = re.compile(r"####\s*(-?[\d,./]*\d)\s*\Z")
_BOX = re.compile(r"\\(?:boxed|fbox)(?:\s*\{|\s+)")


def final_number(reference: str) -> str:
    """The number of the last line ``#### N``, without thousands commas."""
    match = _FINAL.search(reference)
    if not match:
        raise UserError(f"no final '#### N' in {reference[-80:]!r}")
    return match[1].replace(",", "")


def boxed(text: str) -> str | None:
    r"""What the last ``\boxed{...}`` or ``\fbox{...}`` holds, braces inside it balanced, or
    what follows a ``\boxed`` without braces; None without a box."""
    boxes = [*_BOX.finditer(text)]
    if not boxes:
        return None
    begin = boxes[-1].end()
    if not boxes[-1][0].endswith("{"):
        return re.split(r"[\s$]", text[begin:], maxsplit=1)[0] or None
    depth = 1
    for i in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if not depth:
            return text[begin:i]
    return None
