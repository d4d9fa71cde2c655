"""What an answer is likely to go on with, copied from a text that it resembles.

The text is a sibling, another answer to the prompt that the caller has; behind it the prompt
itself, in which a draft stands that is to be corrected; and the answer so far, which may
repeat itself. The place to copy from follows the answer: behind a token that is not the
copied one it is looked for anew, by the longest run of last tokens, two at least, among the
places near by (``NEAREST``), so tokens that were put in or left out are got over. Where no
such run stands, the token took the place of the sibling's.
Guesses decide no token: the speculative engine takes one where the model's own draw is
equal. Runs of prompt and answer: Saxena's prompt lookup decoding (2023;
``prompt_lookup_num_tokens`` of transformers); the sibling, its realignment and rates by
length of the run are ours.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

NEAREST = 8
"""Places before and behind the last one that are compared; a table repeats a pair hundreds of
times."""

LONGEST = 8
"""Tokens of a run that is looked for; a longer one says no more."""

NOTHING = -1
"""No token: what is never copied, and the ends of sibling and prompt."""


class Lookup:
    """A text to copy from. ``place``: in it, of what is likely next; ``run``: so many tokens
    before it are the answer's last, at most ``LONGEST``."""

    def __init__(self, sibling: Sequence[int], prompt: Sequence[int]) -> None:
        self.text = [*sibling, NOTHING, *prompt, NOTHING]
        self.sibling = len(sibling)
        self.nowhere = len(self.text) - 1
        self.place = 0
        self.run = 0
        self.behind = defaultdict[tuple[int, int], list[int]](list)
        """The places of the tokens behind each two."""

        for place, pair in enumerate(pairwise(self.text), 2):
            self.behind[pair].append(place)

    @property
    def guess(self) -> int:
        """The token that is likely next; ``NOTHING`` where the text says none."""
        return self.text[self.place]

    def ahead(self) -> Iterator[int]:
        """The tokens that are likely next; of an answer that repeats itself without an end,
        so that it is asked for as many as are wanted."""
        place, copied = self.place, list[int]()
        while True:
            known = place - len(self.text)
            token = self.text[place] if known < 0 else copied[known]
            if token == NOTHING:
                return
            copied.append(token)
            yield token
            place += 1

    def follow(self, last: Sequence[int]) -> None:
        """Go on behind the next token of the answer; ``last``: its last tokens, that one
        among them, at least ``LONGEST`` where it has so many."""
        right = self.guess == last[-1]
        self.behind[self.text[-2], self.text[-1]].append(len(self.text))
        self.text.append(last[-1])
        if right:
            self.place, self.run = self.place + 1, min(self.run + 1, LONGEST)
        elif len(last) > 1 and (found := self.behind.get((last[-2], last[-1]))):
            here = bisect.bisect(found, self.place)
            self.run, _, self.place = max(
                (self._matching(place, last), -abs(place - self.place), place)
                for place in found[max(0, here - NEAREST) : here + NEAREST]
            )
        else:
            is_inside = self.place < self.sibling
            self.place = self.place + 1 if is_inside else self.nowhere
            self.run = 0

    def _matching(self, place: int, last: Sequence[int]) -> int:
        """Tokens before a place that are the last ones."""
        most = min(LONGEST, len(last), place)
        for back in range(1, most + 1):
            if self.text[place - back] != last[-back]:
                return back - 1
        return most
