"""Numbers that a text alone decides, the same on any machine."""

from __future__ import annotations

import hashlib


def unit(text: str, salt: str = "") -> float:
    """A number in [0, 1) that the text and the salt alone decide."""
    digest = hashlib.sha256(f"{salt}\x00{text}".encode()).digest()
    # 53 bits fit a float exactly; 64 bits could round up to 1.0
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53
