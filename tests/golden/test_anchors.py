"""The conventions of the codebases whose numbers ours are held against."""

from __future__ import annotations

import pytest
from rouge_score.rouge_scorer import RougeScorer

from selfgen.evaluation.metrics import main, metric

PAIRS = [
    ("The runners were running quickly", "the runner runs quick"),
    ("cats, dogs and mice", "Cats and dogs"),
    ("a b c d", "b c a d"),
    ("same words", "same words"),
    ("", "nothing is answered"),
]
FOUND = {
    f"rouge{kind}{form}": [
        metric(f"rouge{form.replace('_', '-')}").score(text, {"reference": reference})[
            f"rouge{kind}{form}"
        ]
        for text, reference in PAIRS
    ]
    for form in ("", "_unstemmed")
    for kind in ("1", "2", "L")
}


def test_rouge_by_hand() -> None:
    """Of the first pair "the" alone is written alike: 1 of 5 words and 1 of 4; stems of
    "runners", "running" and "quickly" are those of "runner", "runs" and of none."""
    assert main("rouge-unstemmed") == "rougeL_unstemmed"
    assert FOUND["rougeL_unstemmed"][0] == pytest.approx(2 * 1 / (5 + 4))
    assert FOUND["rougeL"][0] == pytest.approx(2 * 3 / (5 + 4))
    assert FOUND["rougeL_unstemmed"][2] == pytest.approx(2 * 3 / 8)
    assert FOUND["rougeL_unstemmed"][3:] == [1, 0]


@pytest.mark.parametrize("form", ["", "_unstemmed"])
def test_rouge_is_that_of_the_package_as_evaluate_calls_it(form: str) -> None:
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=not form)
    for number, (text, reference) in enumerate(PAIRS):
        scores = scorer.score(target=reference, prediction=text)
        for kind, value in scores.items():
            assert FOUND[f"{kind}{form}"][number] == value.fmeasure


def test_rouge_is_that_of_evaluate() -> None:
    """With its defaults, as summarize_from_feedback_details calls it, and with stems. Its
    aggregate would be the median of resampled means."""
    import evaluate

    try:
        module = evaluate.load("rouge")
    except Exception as error:
        pytest.skip(f"evaluate's module of ROUGE could not be fetched: {error!r:.80}")
    texts, references = zip(*PAIRS, strict=True)
    for stemmed, form in ((False, "_unstemmed"), (True, "")):
        found = module.compute(
            predictions=texts,
            references=references,
            use_stemmer=stemmed,
            use_aggregator=False,
        )
        for kind in ("rouge1", "rouge2", "rougeL"):
            assert found[kind] == FOUND[f"{kind}{form}"]
