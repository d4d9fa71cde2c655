"""Sentences, stable hashes, splits."""

from __future__ import annotations

from collections import Counter

import pytest

from selfgen.core.hashing import unit
from selfgen.data.dataset import split_of
from selfgen.data.text import lead, sentences, squeeze, too_long


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("One here. Two there! Three?", ["One here.", "Two there!", "Three?"]),
        ("Dr. Vole met J. Finch. They ran.", ["Dr. Vole met J. Finch.", "They ran."]),
        ('"Stop." He did.', ['"Stop."', "He did."]),
        ("It cost 3.5 coins. No one paid", ["It cost 3.5 coins.", "No one paid"]),
        ("born c. 1200 in Aa. Died.", ["born c. 1200 in Aa.", "Died."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_squeeze() -> None:
    assert squeeze(" a\n\tb  c ") == "a b c"


def test_lead_keeps_whole_sentences() -> None:
    pieces = ["One two three.", "Four five.", "Six."]
    assert lead(pieces, 5) == "One two three. Four five."
    assert lead(pieces, 4) == "One two three."
    assert lead(pieces, 2) == ""


def test_too_long() -> None:
    assert too_long("a b c", 2)
    assert not too_long("a b", 2)
    assert not too_long("a b c", None)


def test_unit_and_split_are_fixed_by_the_text() -> None:
    # printf "salt\0text" | sha256sum
    assert unit("text", "salt") == pytest.approx(0x884BB963FB104FA5 / 2**64)
    assert unit("text", "salt") != unit("text", "other")
    counts = Counter(split_of(f"key-{i}") for i in range(2_000))
    assert counts["test"] == pytest.approx(200, abs=40)
    assert counts["validation"] == pytest.approx(100, abs=40)
    assert split_of("key-0") == split_of("key-0")
