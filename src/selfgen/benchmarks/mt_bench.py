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
from typing import Any, ClassVar

from pydantic import Field

from selfgen.benchmarks.base import Ask, Conversation, Files, Judged, Measure, Rows
from selfgen.core.errors import UserError
from selfgen.data.pins import FileSpec

_FOLDER = (
    "https://raw.githubusercontent.com/lm-sys/FastChat"
    "/0e6d3e4beaab66f4d3f93db72541a4abab8af28d/fastchat/llm_judge/data"
)
TEMPERATURES = {
    "writing": 0.7,
    "roleplay": 0.7,
    "reasoning": 0.0,
    "math": 0.0,
    "coding": 0.0,
    "extraction": 0.0,
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

RATINGS = (
    re.compile(r"\[\[(\d++(?:\.\d*)?)\]\]"),
    re.compile(r"\[(\d++(?:\.\d*)?)\]"),
)
"""The first that matches counts, at its first place."""

LEAST, MOST = 1.0, 10.0


@dataclass(frozen=True)
class Question:
    """Two turns of a user; ``reference``: the answers of both, where the category has."""

    id: int
    category: str
    turns: tuple[str, str]
    reference: tuple[str, str] | None


class MtBench(Judged):
    """MT-Bench: 80 questions of two turns, graded 1 to 10; temperatures by category."""

    title, table_title = "MT-Bench", "MT-Bench: mean rating of the answers."
    two_turns = True
    measures = (
        Measure("rating", "mean", "Mean", unit=1),
        *(
            Measure("rating", f"turn_{i}", f"Turn {i}", {"turn": i}, 1, interval=False)
            for i in (1, 2)
        ),
        *(
            Measure("rating", x, x.capitalize(), {"category": x}, 1, interval=False)
            for x in TEMPERATURES
        ),
    )
    note = "Judge: {judge}, ratings of 1 to 10; replies without one are counted and left out."
    missing = ("rating", "No rating")
    file_keys = ("questions", "references", "prompts")
    answer_files = ("questions", "references")
    sources: ClassVar = {
        "mt-bench-questions": FileSpec(
            f"{_FOLDER}/mt_bench/question.jsonl",
            "119565adbab82227089cefdb44c8d7e2cf04dc0a0ec233634c82e7d4e2a944f7",
        ),
        "mt-bench-references": FileSpec(
            f"{_FOLDER}/mt_bench/reference_answer/gpt-4.jsonl",
            "f957a5bc977badb66885ec970e6cd08527845780313f0995764260e5777b9b3f",
        ),
        "mt-bench-prompts": FileSpec(
            f"{_FOLDER}/judge_prompts.jsonl",
            "fd283293406d024f44c174b094ef48031d0687a4682fd3a56b29b138f80281b6",
        ),
    }
    size, reply_tokens = 160, 2048
    # Of the questions, and answers as of AlpacaEval; a question to the judge holds prompt,
    # answers, where there is one the reference, and in the second turn the first.
    lengths, judged = (47, 238), (750, 200)

    questions: str = Field(
        default="mt-bench-questions", description="By its name in `files`."
    )
    references: str = Field(
        default="mt-bench-references", description="By its name in `files`."
    )
    prompts: str = Field(
        default="mt-bench-prompts",
        description="The judge's prompts, by their name in `files`.",
    )

    @staticmethod
    def conversations(files: Files) -> list[Conversation]:
        return [
            Conversation(str(q.id), q.turns, TEMPERATURES[q.category])
            for q in load_questions(files["questions"], files["references"])
        ]

    @staticmethod
    def grade(
        answers: Rows, files: Files, generator: str, ask: Ask
    ) -> tuple[Rows, dict[str, Any]]:
        """Rows ``{id, category, turn, rating, reply}``; a reply without a rating has the
        rating None (FastChat writes -1 and leaves it out)."""
        questions = load_questions(files["questions"], files["references"])
        prompts = load_prompts(files["prompts"])
        said = {(row["id"], row["turn"]): row["answer"] for row in answers}
        asked = [(question, turn) for question in questions for turn in (1, 2)]
        replies = ask(
            [
                request_of(q, [said[str(q.id), t] for t in (1, 2)], turn, prompts)
                for q, turn in asked
            ]
        )
        return [
            {
                "id": f"{question.id}.{turn}",
                "category": question.category,
                "turn": turn,
                "rating": rating_of(reply.text),
                "reply": reply.text,
            }
            for (question, turn), reply in zip(asked, replies, strict=True)
        ], {}


BENCHMARK = MtBench


def load_questions(questions: Path, references: Path) -> list[Question]:
    """FastChat's ``question.jsonl`` with ``reference_answer/gpt-4.jsonl``.

    Raises UserError: an unknown category, or a question without the reference it needs.
    """
    answers = {
        line["question_id"]: tuple(line["choices"][0]["turns"])
        for line in _lines(references)
    }
    rows = []
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
        rows.append(Question(number, category, tuple(line["turns"]), reference))
    return rows


def load_prompts(path: Path) -> dict[str, dict[str, str]]:
    """FastChat's ``judge_prompts.jsonl`` by name; raises UserError where one is missing."""
    prompts = {line["name"]: line for line in _lines(path)}
    missing = sorted(set(PROMPTS.values()) - set(prompts))
    if missing:
        raise UserError(f"{path}: found no judge prompt {', '.join(missing)}")
    return prompts


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
        for i in (1, 2):
            places[f"question_{i}"] = question.turns[i - 1]
            places[f"answer_{i}"] = answers[i - 1]
    for i, text in enumerate(question.reference or (), 1):
        places[f"ref_answer_{i}"] = text
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
        if match := pattern.search(reply):
            rating = float(match[1])
            return rating if LEAST <= rating <= MOST else None
    return None


def _filled(template: str, places: Mapping[str, str]) -> str:
    # Not str.format: a downloaded template could read attributes of what it is given.
    pattern = "|".join(re.escape("{" + name + "}") for name in places)
    return re.sub(pattern, lambda match: places[match[0][1:-1]], template)


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
