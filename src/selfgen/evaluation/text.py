"""Shape of an answer: how long it is, and how much it repeats itself."""

from __future__ import annotations

SHAPE = {
    "tokens": "Tokens",
    "words": "Words",
    "reference_words": "Reference words",
    "repetition": "Repeated 3-grams",
    "ended": "Ended",
    "edited": "Edited",
}
"""The columns that describe every answer, whatever its metrics, and their titles."""


def answer_words(text: str) -> int:
    """Number of words, split at white space."""
    return len(text.split())


def repetition(text: str, n: int = 3) -> float:
    """Share (0..1) of the word n-grams that stood earlier in the same text.

    Case is ignored; a text of fewer than ``n`` words gives 0.
    """
    words = text.lower().split()
    ngrams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return 1.0 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0
