"""What an answer is likely to go on with, copied from a text that it resembles.

The text is a sibling, such as another method's answer to the prompt, the round before's, or
the draft that is to be corrected; and behind it the prompt itself. The place to copy from
follows the answer: behind a token that is not the copied one it is looked for anew, by the
longest run of last tokens that stands in the text, so tokens that were put in or left out
are got over; where no run of two does, the token took another's place. Guesses decide no
token: the speculative engine takes one where the model's own draw is equal. Runs of the
prompt: Saxena's prompt lookup decoding (2023; ``prompt_lookup_num_tokens`` of transformers);
the sibling, its realignment and rates by length of the run are ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

LONGEST = 8
"""Tokens of a run that is looked for; a longer one says no more."""

SURE = 2
"""Tokens of a run for which a place is left where a token may have been replaced."""

NOTHING = -1
"""Between the sibling and the prompt: no token, so nothing is copied over it."""


class Lookup:
    """A text to copy from. ``place``: in it, of what is likely next; ``run``: so many tokens
    before it are the answer's last, at most ``LONGEST``."""

    def __init__(self, sibling: Sequence[int], prompt: Sequence[int]) -> None:
        self.text = [*sibling, NOTHING, *prompt, NOTHING]
        self.place = 0
        self.run = 0
        self.places = defaultdict[int, list[int]](list)
        for place, token in enumerate(self.text):
            self.places[token].append(place)

    @property
    def guess(self) -> int:
        """The token that is likely next; ``NOTHING`` where the text says none."""
        return self.text[self.place]

    def ahead(self, most: int) -> list[int]:
        """The tokens that are likely next, at most so many."""
        end = self.text.index(NOTHING, self.place)
        return self.text[self.place : min(end, self.place + most)]

    def follow(self, last: Sequence[int]) -> None:
        """Go on behind the next token of the answer; ``last``: its last tokens, that one
        among them, at least ``LONGEST`` where it has so many."""
        if self.guess == last[-1]:
            self.place, self.run = self.place + 1, min(self.run + 1, LONGEST)
            return
        found = [
            (self._run(place, last), -abs(place + 1 - self.place), place)
            for place in self.places.get(last[-1], ())
        ]
        run, _, place = max(found, default=(0, 0, 0))
        if run >= SURE or (run and self.guess == NOTHING):
            self.place, self.run = place + 1, run
        else:
            self.place, self.run = self.place + (self.guess != NOTHING), 0

    def _run(self, end: int, last: Sequence[int]) -> int:
        """Tokens up to the place ``end`` that are the last ones."""
        most = min(LONGEST, len(last), end + 1)
        for back in range(1, most):
            if self.text[end - back] != last[-1 - back]:
                return back
        return most
