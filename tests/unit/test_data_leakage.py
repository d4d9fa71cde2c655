"""The leakage guard, on cases worked by hand."""

from __future__ import annotations

import pytest

from selfgen.core.errors import UserError
from selfgen.data.leakage import LeakageSpec, check, words

SPEC = LeakageSpec(ngram=3, share=0.5, limit=0.0)


def rows(**prompts: list[str]) -> list[dict]:
    return [
        {"id": f"{split}-{i}", "task": "toy", "split": split, "prompt": prompt}
        for split, texts in prompts.items()
        for i, prompt in enumerate(texts)
    ]


def test_words_are_normalised() -> None:
    assert words("In 1984, Ann's CAT!") == ["in", "0000", "ann", "s", "cat"]


def test_no_overlap() -> None:
    report = check(rows(train=["a b c d"], test=["e f g h", "a b x c"]), SPEC)
    assert report["task"] == "toy"
    assert report["splits"] == {
        "test": {
            "n": 2,
            "share": 0.0,
            "leaking": [],
            "exact_duplicates": 0,
            "shared_templates": False,
        }
    }


def test_half_of_the_grams() -> None:
    # "a b c d x y" has the 3-grams abc bcd cdx dxy: two of four stand in train
    records = rows(train=["a b c d"], test=["a b c d x y", "m n o p"])
    with pytest.raises(UserError) as caught:
        check(records, SPEC)
    assert str(caught.value) == (
        "task toy: split test: 0.5000 of the prompts leak from train, limit 0.0: test-0"
    )
    assert check(records, LeakageSpec(3, 0.5, 0.5))["splits"]["test"]["share"] == 0.5
    assert check(records, LeakageSpec(3, 0.51, 0.0))["splits"]["test"]["share"] == 0.0


def test_grams_may_come_from_several_prompts() -> None:
    # abc and bcd stand in one training prompt, xyz in another: three of 5 (cdx, dxy)
    records = rows(train=["A b c d", "x y z"], test=["a b c d x y z"])
    report = check(records, LeakageSpec(3, 0.6, 1.0))
    assert report["splits"]["test"]["leaking"] == ["test-0"]
    report = check(records, LeakageSpec(3, 0.61, 1.0))
    assert report["splits"]["test"]["leaking"] == []


def test_digits_do_not_hide_a_copy() -> None:
    records = rows(train=["Ann has 12 pears now"], test=["Ann has 75 pears now"])
    with pytest.raises(UserError, match=r"split test: 1\.0000"):
        check(records, SPEC)


def test_short_prompts_are_compared_whole() -> None:
    spec = LeakageSpec(ngram=13, share=0.5, limit=0.0)
    train = ["What is the capital of Chad?"]
    report = check(rows(train=train, test=["What is the capital of Mali?"]), spec)
    assert report["splits"]["test"]["share"] == 0.0
    with pytest.raises(UserError, match="test-0"):
        check(rows(train=train, test=["what is the capital of CHAD"]), spec)


def test_shared_templates_are_reported_only() -> None:
    spec = LeakageSpec(3, 0.5, 0.0, shared_templates=("test",))
    report = check(rows(train=["a b c 1"], test=["a b c 2"]), spec)
    assert report["splits"]["test"]["share"] == 1.0
    assert report["splits"]["test"]["shared_templates"] is True


@pytest.mark.parametrize("split", ["train", "validation"])
def test_exact_duplicates_are_always_refused(split: str) -> None:
    spec = LeakageSpec(3, 0.5, 1.0, shared_templates=("test", "validation"))
    records = rows(**{split: ["q w e", "a b c"], "test": ["a b c"]})
    with pytest.raises(UserError, match=f"toy: 1 prompts .* {split}-1 = test-0"):
        check(records, spec)


def test_duplicates_within_a_split_are_no_leak() -> None:
    assert check(rows(train=["a b c", "a b c"], test=["d e f"]), SPEC)


def test_at_most_five_ids_are_shown() -> None:
    train = [f"a b c {x}" for x in "qrstuvw"]
    with pytest.raises(UserError) as caught:
        check(rows(train=train, test=[f"A b c {x}" for x in "qrstuvw"]), SPEC)
    assert str(caught.value).count("test-") == 5


def test_nothing_to_check() -> None:
    with pytest.raises(UserError, match="no records"):
        check([], SPEC)


def test_duplicates_in_the_splits_of_others_are_counted() -> None:
    spec = LeakageSpec(3, 0.5, 0.5, published=True)
    train, test = ["q w e", "a b c"], ["a b c", "x y z"]
    report = check(rows(train=train, validation=["x y z"], test=test), spec)["splits"]
    assert report["test"]["leaking"] == ["test-0"]
    assert report["test"]["exact_duplicates"] == 1
    assert report["validation"]["exact_duplicates"] == 0
    with pytest.raises(UserError, match=r"split test: 1\.0000 .* limit 0\.5: test-0"):
        check(rows(train=train, test=["a b c", "Q w e"]), spec)
