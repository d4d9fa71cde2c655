"""The one error that is shown to a user without a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake that the person at the keyboard can mend; shown as one line, no traceback."""


@contextmanager
def naming(where: object) -> Iterator[None]:
    """Let a UserError say ``where`` it was found."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
