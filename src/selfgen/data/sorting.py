"""Lists of words in an order of groups: any order within a group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfgen.data.checked import Step


@dataclass(frozen=True)
class Sorted:
    """Checks answers to a prompt of words, ``bee, tea, fox``. ``group``: that of a word, by
    which they are sorted.

    After any steps, right is each word that is not written yet and whose group comes first of
    those, with a comma while others are left. So a word that was passed over stays the right
    one until it is written.
    """

    group: Callable[[str], str | int]

    delimiters = ","

    def right(self, prompt: str, before: Sequence[Step]) -> list[Step]:
        """Nothing but the end where all words are written."""
        left = self._left(prompt, before)
        first = min(map(self.group, left), default=None)
        ends = "," if len(left) > 1 else ""
        words = [word for word in left if self.group(word) == first] or [""]
        return [Step(word + ends, not ends) for word in words]

    def error(self, prompt: str, before: Sequence[Step], step: Step) -> str:
        """``again``, ``foreign`` (no word of the prompt), ``order`` (one of an earlier group
        is left), ``end`` (a right word, but what follows it is not)."""
        word, left = step.text.rstrip(","), self._left(prompt, before)
        if word in left:
            first = min(map(self.group, left))
            return "end" if self.group(word) == first else "order"
        if word in prompt.split(", "):
            return "again"
        return "foreign" if word else "end"

    @staticmethod
    def _left(prompt: str, before: Sequence[Step]) -> list[str]:
        done = {step.text.rstrip(",") for step in before}
        return [word for word in prompt.split(", ") if word not in done]
