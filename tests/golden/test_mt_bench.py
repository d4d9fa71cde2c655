"""MT-Bench's judge prompts and ratings: by hand, and on FastChat's files where they are."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from selfgen.benchmarks import mt_bench
from selfgen.benchmarks.base import Request
from selfgen.benchmarks.mt_bench import MtBench, Question, rating_of, request_of
from selfgen.core.errors import UserError
from selfgen.judge.client import Judge
from selfgen.judge.grades import by_judge
from selfgen.judge.replies import Reply
from selfgen.judge.spec import EndpointSpec, GradesSpec, Limits
from tests.judge_server import serve

DATA = Path(__file__).parents[3] / "shared" / "data" / "mt_bench"
real = pytest.mark.skipif(
    not DATA.is_dir(), reason="needs the MT-Bench files of ../shared/data"
)

PLAIN = Question(1, "writing", ("Q1", "Q2"), None)
MATH = Question(2, "math", ("M1", "M2"), ("R1", "R2"))
TEMPLATES = {
    "single-v1": "{question}|{answer}",
    "single-v1-multi-turn": "{question_1}|{answer_1}|{question_2}|{answer_2}",
    "single-math-v1": "{question}|{ref_answer_1}|{answer}",
    "single-math-v1-multi-turn": "{ref_answer_1}|{ref_answer_2}|{answer_1}|{answer_2}",
}
PROMPTS = {
    name: {"name": name, "system_prompt": f"system of {name}", "prompt_template": text}
    for name, text in TEMPLATES.items()
}


def asked(question: Question, turn: int, answers: tuple[str, str]) -> str:
    return request_of(question, answers, turn, PROMPTS)["messages"][1]["content"]


def test_requests_by_hand() -> None:
    """Answers that look like places or like format fields stay as they are."""
    answers = ("{question} {0.__class__}", "A2")
    assert asked(PLAIN, 1, answers) == "Q1|{question} {0.__class__}"
    assert asked(PLAIN, 2, answers) == "Q1|{question} {0.__class__}|Q2|A2"
    assert asked(MATH, 1, ("A1", "A2")) == "M1|R1|A1"
    assert asked(MATH, 2, ("A1", "A2")) == "R1|R2|A1|A2"
    request = request_of(MATH, ("A1", "A2"), 2, PROMPTS)
    assert request["messages"][0]["content"] == "system of single-math-v1-multi-turn"
    assert (request["temperature"], request["max_tokens"]) == (0.0, 2048)


@pytest.mark.parametrize(
    "reply, rating",
    [
        ("Good. Rating: [[8]]", 8),
        ("[[7.5]]", 7.5),
        ("Rating: [[3]] and then [[9]]", 3),
        ("Rating: [6]", 6),
        ("see [1]. Rating: [[4]]", 4),
        ("Rating: [[0]]", None),
        ("Rating: [[11]]", None),
        ("Rating: 8", None),
        ("", None),
    ],
)
def test_ratings(reply: str, rating: float | None) -> None:
    assert rating_of(reply) == rating


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The questions above, as FastChat has them."""
    lines = {
        "questions": [
            {"question_id": q.id, "category": q.category, "turns": q.turns}
            for q in (PLAIN, MATH)
        ],
        "references": [{"question_id": 2, "choices": [{"turns": MATH.reference}]}],
        "prompts": PROMPTS.values(),
    }
    for name, rows in lines.items():
        (tmp_path / name).write_text("\n".join(map(json.dumps, rows)))
    return {name: tmp_path / name for name in lines}


def test_from_conversations_to_rows(files: dict[str, Path]) -> None:
    """Temperatures by category; both turns are graded, and a reply without a rating has
    none."""
    asked = MtBench.conversations(files)
    assert [(c.id, c.turns, c.temperature) for c in asked] == [
        ("1", ("Q1", "Q2"), 0.7),
        ("2", ("M1", "M2"), 0.0),
    ]
    answers = [
        {"id": c.id, "turn": turn, "prompt": text, "answer": f"A{turn}"}
        for c in asked
        for turn, text in enumerate(c.turns, 1)
    ]
    said = {
        "Q1|A1": "[[5]]",
        "Q1|A1|Q2|A2": "none",
        "M1|R1|A1": "[[10]]",
        "R1|R2|A1|A2": "[[1]]",
    }

    def ask(requests: Sequence[Request]) -> list[Reply]:
        texts = [request["messages"][1]["content"] for request in requests]
        return [Reply(said[text], "stop", 1, 1) for text in texts]

    rows, _ = MtBench.grade(answers, files, "m", ask)
    assert [(r["id"], r["turn"], r["rating"]) for r in rows] == [
        *(("1.1", 1, 5.0), ("1.2", 2, None)),
        *(("2.1", 1, 10.0), ("2.2", 2, 1.0)),
    ]
    assert [r["category"] for r in rows] == ["writing"] * 2 + ["math"] * 2


def test_a_judge_that_never_rates_is_refused(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP: a rating or none, and the name of the model that replied."""
    answers = [
        {"id": c.id, "turn": turn, "prompt": text, "answer": f"A{turn}"}
        for c in MtBench.conversations(files)
        for turn, text in enumerate(c.turns, 1)
    ]
    endpoint = EndpointSpec("judge-1", "TEST_JUDGE")
    spec = GradesSpec("mt-bench", endpoint, "m")
    limits = Limits(2, 0, 20.0, 0, 1.0, 1.0, 1.0)
    said = "Fine."
    with serve(lambda _: said) as server:
        monkeypatch.setenv("TEST_JUDGE_BASE_URL", server.url)
        monkeypatch.setenv("TEST_JUDGE_API_KEY", "x")
        with pytest.raises(UserError, match="none of 4 replies is a grade of MT-Bench"):
            by_judge(answers, files, spec, Judge(endpoint, limits, tmp_path / "a"))
        said, server.more = "[[3]]", {"model": "cheap-1"}
        judge = Judge(endpoint, limits, tmp_path / "b")
        rows, facts = by_judge(answers, files, spec, judge)
    assert [(row["rating"], row["by"]) for row in rows] == [(3.0, "cheap-1")] * 4
    assert facts["other_models"] == {"cheap-1": 4}


@pytest.mark.parametrize("piece", ["[[", "1", "[[1", "[[1.", "[", "]"])
def test_a_hostile_reply_takes_linear_time(piece: str) -> None:
    started = time.process_time()
    rating_of("[[" + piece * (1_000_000 // len(piece)))
    assert time.process_time() - started < 5


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    questions, references = tmp_path / "q.jsonl", tmp_path / "r.jsonl"
    line = {"question_id": 1, "category": "math", "turns": ["a", "b"]}
    questions.write_text(json.dumps(line))
    references.write_text("")
    with pytest.raises(UserError, match="found no answer to question 1"):
        mt_bench.load_questions(questions, references)
    questions.write_text(json.dumps(line | {"category": "cooking"}))
    with pytest.raises(UserError, match="found category 'cooking', allowed: writing"):
        mt_bench.load_questions(questions, references)
    questions.write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        mt_bench.load_questions(questions, references)
    with pytest.raises(UserError, match="found no judge prompt single-math-v1, single"):
        mt_bench.load_prompts(references)


@real
def test_the_real_files() -> None:
    """80 questions, ten a category; math, reasoning and coding have references; every
    place of the real judge prompts is filled in."""
    questions = mt_bench.load_questions(
        DATA / "question.jsonl", DATA / "reference_answer.gpt-4.jsonl"
    )
    prompts = mt_bench.load_prompts(DATA / "judge_prompts.jsonl")
    assert len(questions) == 80
    assert sum(question.reference is not None for question in questions) == 30
    for question in questions:
        for turn in (1, 2):
            request = request_of(question, ("FIRST", "SECOND"), turn, prompts)
            text = request["messages"][1]["content"]
            assert question.turns[0] in text and "FIRST" in text
            assert ("SECOND" in text) == (turn == 2)
            assert not any(f"{{{x}}}" in text for x in ("question_1", "ref_answer_1"))
            if question.reference:
                assert question.reference[0] in text
