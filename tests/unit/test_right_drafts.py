"""Whether a draft is right already, by hand."""

import pytest

from selfgen.generation.passes import is_right


@pytest.mark.parametrize(
    ("text", "reference", "answer", "right"),
    [
        ("Lost keys found ", "Lost keys found", None, True),
        ("Lost keys", "Lost keys found", None, False),
        ("1 + 1,199 is it.\n#### 1,200", "So 1,200.\n#### 1,200", "1200", True),
        ("#### 12", "#### 1,200", "1200", False),
        ("it is 1200", "#### 1,200", "1200", False),
        (
            r"so \boxed{\frac{1}{2}}.",
            r"\boxed{\frac{1}{2}} by halves",
            r"\frac{1}{2}",
            True,
        ),
        (r"so \boxed{2}", r"\boxed{\frac{1}{2}}", r"\frac{1}{2}", False),
        ("", "x", None, False),
    ],
)
def test_by_hand(text: str, reference: str, answer: str | None, right: bool) -> None:
    assert is_right(text, {"reference": reference, "answer": answer}) is right
