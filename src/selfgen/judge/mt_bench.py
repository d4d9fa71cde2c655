"""MT-Bench: two turns, graded 1 to 10 by a judge (Zheng et al. 2023, arXiv 2306.05685).

Single-answer grading as in FastChat (fastchat/llm_judge/common.py): four judge prompts, for
one and for two turns, with and without reference answers. Questions, references and judge
prompts are FastChat's files, fetched and never shipped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfgen.core.errors import UserError
from selfgen.core.rows import read_rows, write_rows
from selfgen.judge.client import Judge, announce
from selfgen.judge.spec import GradedSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

TEMPERATURES = {
    "writing": 0.7,
    "roleplay": 0.7,
    "extraction": 0.0,
    "math": 0.0,
    "coding": 0.0,
    "reasoning": 0.0,
    "stem": 0.1,
    "humanities": 0.1,
}
"""Of the answers, by category (FastChat's ``temperature_config``)."""

WITH_REFERENCE = ("math", "reasoning", "coding")
"""Categories whose judge is shown reference answers."""

PROMPTS = {
    (1, False): "single-v1",
    (2, False): "single-v1-multi-turn",
    (1, True): "single-math-v1",
    (2, True): "single-math-v1-multi-turn",
}
"""Names of the judge prompts, by turn and whether there is a reference."""

RATINGS = (re.compile(r"\[\[(\d+\.?\d*)\]\]"), re.compile(r"\[(\d+\.?\d*)\]"))
"""The first that matches counts, at its first place."""

LEAST, MOST = 1.0, 10.0


@dataclass(frozen=True)
class Question:
    """Two turns of a user; ``reference``: the answers of both, where the category has."""

    id: int
    category: str
    turns: tuple[str, str]
    reference: tuple[str, str] | None

    @property
    def temperature(self) -> float:
        """Of the answers to it."""
        return TEMPERATURES[self.category]


def load_questions(questions: Path, references: Path) -> list[Question]:
    """FastChat's ``question.jsonl`` with ``reference_answer/gpt-4.jsonl``.

    Raises UserError: an unknown category, or a question without the reference it needs.
    """
    answers = {
        line["question_id"]: tuple(line["choices"][0]["turns"])
        for line in _lines(references)
    }
    found = []
    for line in _lines(questions):
        number, category = line["question_id"], line["category"]
        if category not in TEMPERATURES:
            raise UserError(
                f"{questions}: question {number}: found category {category!r},"
                f" allowed: {', '.join(TEMPERATURES)}"
            )
        needed = category in WITH_REFERENCE
        if needed and number not in answers:
            raise UserError(f"{references}: found no answer to question {number}")
        reference = answers[number] if needed else None
        found.append(Question(number, category, tuple(line["turns"]), reference))
    return found


def load_prompts(path: Path) -> dict[str, dict[str, str]]:
    """FastChat's ``judge_prompts.jsonl`` by name; raises UserError where one is missing."""
    found = {line["name"]: line for line in _lines(path)}
    missing = sorted(set(PROMPTS.values()) - set(found))
    if missing:
        raise UserError(f"{path}: found no judge prompt {', '.join(missing)}")
    return found


def request_of(
    question: Question,
    answers: Sequence[str],
    turn: int,
    prompts: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """What the judge is asked about ``turn`` (1 or 2) of the ``answers`` of both."""
    prompt = prompts[PROMPTS[turn, question.reference is not None]]
    places = {"question": question.turns[0], "answer": answers[0]}
    if turn == 2:
        for i in (0, 1):
            places |= {
                f"question_{i + 1}": question.turns[i],
                f"answer_{i + 1}": answers[i],
            }
    for i, text in enumerate(question.reference or ()):
        places[f"ref_answer_{i + 1}"] = text
    return {
        "messages": [
            {"role": "system", "content": prompt["system_prompt"]},
            {"role": "user", "content": _filled(prompt["prompt_template"], places)},
        ],
        "temperature": 0.0,
        "max_tokens": 2048,
    }


def rating_of(reply: str) -> float | None:
    """The rating in ``[[...]]``, or in ``[...]``; None where there is none from 1 to 10."""
    for pattern in RATINGS:
        if found := pattern.search(reply):
            rating = float(found[1])
            return rating if LEAST <= rating <= MOST else None
    return None


def graded(
    questions: Sequence[Question], replies: Mapping[tuple[int, int], str]
) -> list[dict[str, Any]]:
    """Rows ``{id, category, turn, rating, reply}``; ``replies`` by (question, turn). A
    reply without a rating has the rating None (FastChat writes -1 and leaves it out)."""
    return [
        {
            "id": str(question.id),
            "category": question.category,
            "turn": turn,
            "rating": rating_of(replies[question.id, turn]),
            "reply": replies[question.id, turn],
        }
        for question in questions
        for turn in (1, 2)
    ]


def _filled(template: str, places: Mapping[str, str]) -> str:
    # Not str.format: a downloaded template could read attributes of what it is given.
    pattern = "|".join(re.escape("{" + name + "}") for name in places)
    return re.sub(pattern, lambda found: places[found[0][1:-1]], template)


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def step(spec: GradedSpec, job: Job) -> dict[str, Any]:
    """A judge's ratings of both turns, 1 to 10."""
    judge = Judge(spec.endpoint, job.replies)
    questions = load_questions(job.input("questions"), job.input("references"))
    prompts = load_prompts(job.input("prompts"))
    answers = {
        row["id"]: (row["first"], row["second"])
        for row in read_rows(job.input("answers"))
    }
    asked = [(question, turn) for question in questions for turn in (1, 2)]
    requests = [
        request_of(question, answers[str(question.id)], turn, prompts)
        for question, turn in asked
    ]
    announce(judge, requests)
    replies = judge.ask(requests, job.progress("replies"))
    texts = {
        (question.id, turn): reply.text
        for (question, turn), reply in zip(asked, replies, strict=True)
    }
    write_rows(job.output("grades"), graded(questions, texts))
    return {}
