"""Text that somebody else wrote, as it may be shown."""

from __future__ import annotations

import re

_UNSEEN = re.compile(
    # C0 without tab and line feed, DEL, C1; ends of lines; what turns the direction of
    # writing; halves of surrogate pairs.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff]"
)


def shown(text: str) -> str:
    """``text`` with its control characters to be seen, and passed on to no terminal or page:
    those of ASCII as Unicode's pictures of them, others as Python writes them (``\\x9b``).
    Tabs and line feeds stay."""
    return _UNSEEN.sub(_seen, text.replace("\r\n", "\n"))


def _seen(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\N{SYMBOL FOR DELETE}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
