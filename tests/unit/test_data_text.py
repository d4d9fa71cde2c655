"""Sentences, stable hashes, splits."""

from __future__ import annotations

import time
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
        ("On Sept. 5 it rose. It fell.", ["On Sept. 5 it rose.", "It fell."]),
        ("In Sept. Vole left. So?", ["In Sept. Vole left.", "So?"]),
        ("Vole left in Sept. They stayed.", ["Vole left in Sept.", "They stayed."]),
        ("Mt. Everest is high. It is.", ["Mt. Everest is high.", "It is."]),
        ("Ft. Worth, Tex. Rangers ran. Go.", ["Ft. Worth, Tex. Rangers ran.", "Go."]),
        ("The U.S. Senate met. He did.", ["The U.S. Senate met.", "He did."]),
        ("It is in the U.S. The law is.", ["It is in the U.S.", "The law is."]),
        ("At 5 p.m. Vole left. Ah.", ["At 5 p.m. Vole left.", "Ah."]),
        ("He left at 5 p.m. She came.", ["He left at 5 p.m.", "She came."]),
        ("Gen. A. Ames came. He ran.", ["Gen. A. Ames came.", "He ran."]),
        ("(Maj. Vole ran.) He ran.", ["(Maj. Vole ran.)", "He ran."]),
        ("See Fig. 3 and No. 5. A cat.", ["See Fig. 3 and No. 5.", "A cat."]),
        ("The answer was no. He left.", ["The answer was no.", "He left."]),
        ("Ames Inc. The firm grew.", ["Ames Inc.", "The firm grew."]),
        ("“I ran.” He did.", ["“I ran.”", "He did."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize("piece", ["A. ", "Mt. ", "U.S. ", '."', "(", ". ", "!\n", "a"])
def test_sentences_of_a_hostile_text_take_linear_time(piece: str) -> None:
    """A megabyte in about half a second; it was hours for some."""
    started = time.process_time()
    sentences(piece * (1_000_000 // len(piece)))
    assert time.process_time() - started < 5


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
