"""The few-shot protocols with a model that says what it is told: prompts and grades."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfgen.benchmarks import FEW_SHOT
from selfgen.core.errors import UserError
from selfgen.evaluation import few_shot
from selfgen.evaluation.metrics.numbers import flexible, strict

lm_eval = pytest.importorskip("lm_eval")

from lm_eval.api.model import LM  # noqa: E402

GSM8K = Path(__file__).parents[3] / "shared" / "data" / "gsm8k"


class Told(LM):
    """Says the replies one after the other, and keeps what it was asked."""

    def __init__(self, replies: list[str]) -> None:
        super().__init__()
        self.replies, self.asked = replies, []

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> Any:
        self.asked = [request.args for request in requests]
        return self.replies[: len(requests)]

    def loglikelihood(self, requests: list[Any], **_: Any) -> Any:
        raise AssertionError("these protocols only generate")

    loglikelihood_rolling = loglikelihood


def test_gsm8k() -> None:
    """Five shots, then the question; strict reads '#### N', flexible the last number."""
    train = [
        {"question": f"How much is {i}?", "answer": f"It is {i}.\n#### {i}"}
        for i in range(9)
    ]
    test = [
        {"question": f"And {i}?", "answer": f"<<{i}=1,{i}>>\n#### 1,{i}"}
        for i in (100, 200, 300, 400)
    ]
    said = [" so #### 1100", " it is 1,200.", " #### 1300 or 7", " none"]
    model = Told(said)
    rows = few_shot.ask(model, "gsm8k", train, test)
    grades = [(row["strict"], row["flexible"]) for row in rows]
    assert grades == [(1, 1), (0, 1), (1, 0), (0, 0)]
    assert [row["reply"] for row in rows] == said
    for row, problem in zip(rows, test, strict=True):
        gold = problem["answer"].partition("#### ")[2]
        ours = strict(row["reply"], gold), flexible(row["reply"], gold)
        assert ours == (row["strict"], row["flexible"])
    for (prompt, how), problem in zip(model.asked, test, strict=True):
        *shots, question = prompt.split("\n\n")
        assert question == f"Question: {problem['question']}\nAnswer:"
        known = {f"Question: {x['question']}\nAnswer: {x['answer']}" for x in train}
        assert len(shots) == 5 == len(set(shots)) and set(shots) <= known
        assert how["until"] == ["Question:", "</s>", "<|im_end|>"]
        assert how["do_sample"] is False


def test_minerva_math() -> None:
    """Four fixed shots; strict reads the words of the shots, flexible the last box."""
    solution = r"Half of it is $\boxed{\frac{1}{2}}$."
    test = [{"problem": f"Halve {i}.", "solution": solution} for i in range(5)]
    said = [
        r" ... Final Answer: The final answer is $0.5$. I hope it is correct.",
        r" so \boxed{\frac12}",
        r" Final Answer: The final answer is $2$. I hope it is correct. $\frac{1}{2}$",
        r" \boxed{2}",
        r" __import__('os').abort()",
    ]
    model = Told(said)
    rows = few_shot.ask(model, "minerva-math", [], test)
    grades = [(row["strict"], row["flexible"]) for row in rows]
    assert grades == [(1, 1), (0, 1), (0, 1), (0, 0), (0, 0)]
    prompt, how = model.asked[0]
    assert prompt.count("I hope it is correct.") == 4
    assert prompt.endswith("Problem:\nHalve 0.\n\nSolution:")
    assert how["until"] == ["Problem:"]


def test_problems_of_math(tmp_path: Path) -> None:
    """Both files together, the test split of MATH alone, in the order of its folders."""

    def row(name: str) -> str:
        keys = ("problem", "solution", "answer", "subject")
        return json.dumps(dict.fromkeys(keys, "x") | {"unique_id": name}) + "\n"

    main, rest = tmp_path / "main", tmp_path / "rest"
    main.write_text(row("test/algebra/10.json") + row("train/algebra/1.json"))
    rest.write_text(row("test/algebra/9.json"))
    train, test = FEW_SHOT["minerva-math"].problems({"main": main, "rest": rest})
    assert train == []
    names = [problem["unique_id"] for problem in test]
    assert names == ["test/algebra/9.json", "test/algebra/10.json"]
    rest.write_text(row("test/algebra/10.json"))
    with pytest.raises(
        UserError, match=r"rest: found unique_id 'test/algebra/10.json'"
    ):
        FEW_SHOT["minerva-math"].problems({"main": main, "rest": rest})


@pytest.mark.slow
@pytest.mark.skipif(
    not GSM8K.is_dir(), reason="needs the GSM8K files of ../shared/data"
)
def test_gold_answers_of_gsm8k_are_right() -> None:
    """A model that says the solutions has all right; one that is one off, none."""
    files = {split: GSM8K / f"{split}.jsonl" for split in ("train", "test")}
    train, test = FEW_SHOT["gsm8k"].problems(files)
    assert (len(train), len(test)) == (7473, 1319)
    gold = [" " + problem["answer"] for problem in test]
    wrong = [text + "1" for text in gold]
    for said, grade in ((gold, 1.0), (wrong, 0.0)):
        rows = few_shot.ask(Told(said), "gsm8k", train, test)
        assert {(row["strict"], row["flexible"]) for row in rows} == {(grade, grade)}
        for row, problem in zip(rows, test, strict=True):
            answer = problem["answer"].partition("#### ")[2]
            assert (strict(row["reply"], answer), flexible(row["reply"], answer)) == (
                bool(grade),
                bool(grade),
            )
