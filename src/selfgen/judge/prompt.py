"""The prompt of a judge that is asked which of two answers is better."""

from __future__ import annotations

JUDGE = """\
Two answers to one task follow. Decide which of them serves the reader of the task better: \
what it says is right, it has what matters, and it leaves out what does not.

### Task:
{{post}}

### Answer A:
{{summarya}}

### Answer B:
{{summaryb}}

### How to reply:
First one sentence that compares the two. Then, on a line of its own, your choice. Use \
exactly this form:
Comparison: <your sentence>
Preferred: <A or B>
"""
"""What a judge is asked about two answers; our wording, the places of the codebase."""
