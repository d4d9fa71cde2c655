"""The one error that is shown to a user without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the person at the keyboard can mend; shown as one line, no traceback."""
