"""What a measurement found: numbers with intervals, words, figures, and one page."""

from __future__ import annotations

from selfgen.report.measured.found import Found, Number

__all__ = ["Found", "Number"]
