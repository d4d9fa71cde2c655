"""What a benchmark is: the keys of its section in the configuration, and how it is run.

A benchmark is a class. Its fields are what a user may set; its class variables and methods
are what the steps, the tables and the plan ask.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from selfgen.core.types import Count, Keys
from selfgen.data.pins import FileSpec

Files = Mapping[str, Path]
"""The files of a benchmark, by the keys that name them."""

Rows = list[dict[str, Any]]

Request = Mapping[str, Any]
"""What a judge is asked, without the model: ``messages``, ``temperature``, ..."""


@dataclass(frozen=True)
class Reply:
    """What a judge answered; ``logprobs`` as the endpoint gave them, where asked for;
    ``model``: who answered, in the endpoint's words. Tokens are those that are charged."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    logprobs: Any = None
    model: str = ""


Ask = Callable[[Sequence[Request]], Sequence[Reply]]
"""Sends requests to a judge and returns its replies in their order."""


@dataclass(frozen=True)
class Conversation:
    """One or two user messages; ``temperature`` of the answers, None: that of the
    configuration."""

    id: str
    turns: tuple[str, ...]
    temperature: float | None = None


@dataclass(frozen=True)
class Measure:
    """A column of a benchmark's table: the mean of a ``field`` of its rows of grades, of
    those alone that have the values of ``where``.

    ``column`` in CSV, ``header`` for people; shown times ``unit`` with ``digits``, and over
    its ``interval``. ``graded``: read from the judge's replies.
    """

    field: str
    column: str
    header: str
    where: Mapping[str, str | int] = dataclasses.field(default_factory=dict)
    unit: int = 100
    digits: int = 2
    interval: bool = True
    graded: bool = True


class Benchmark(Keys):
    """Class variables: ``title`` for people; ``file_keys``, the fields that name files;
    ``sources``, the files that it pins, by their names in ``files``; ``size``, how many
    answers a model writes. Of its table ``table_title``, ``measures``, ``note`` (with
    ``{judge}`` for the model that grades), and ``missing``, field and header of the number of
    rows without a grade. ``two_turns``: some of what it asks goes on after an answer.
    """

    title: ClassVar[str]
    table_title: ClassVar[str]
    measures: ClassVar[tuple[Measure, ...]]
    note: ClassVar[str]
    missing: ClassVar[tuple[str, str] | None] = None
    file_keys: ClassVar[tuple[str, ...]]
    sources: ClassVar[Mapping[str, FileSpec]] = {}
    size: ClassVar[int]
    two_turns: ClassVar[bool] = False

    tasks: list[str] = Field(
        min_length=1, description="The tasks whose models are asked."
    )

    def files(self) -> dict[str, str]:
        """The names in ``files`` of what it reads, by the keys that name them."""
        named = {key: getattr(self, key) for key in self.file_keys}
        return {key: name for key, name in named.items() if name}


class Judged(Benchmark):
    """A benchmark whose answers a judge grades.

    Class variables: ``answer_files``, those of ``file_keys`` that answering reads (grading
    reads all); ``reply_tokens``, the longest reply of the judge. For ``selfgen plan``, mean
    tokens where they are known: ``lengths`` of a prompt and an answer, ``judged`` of a
    question to the judge and of its reply.
    """

    answer_files: ClassVar[tuple[str, ...]]
    reply_tokens: ClassVar[int]
    lengths: ClassVar[tuple[int, int] | None] = None
    judged: ClassVar[tuple[int, int] | None] = None

    judge: str = Field(description="An endpoint, by its name in `judges`.")
    template: str = Field(
        default="{prompt}", description="User message around an instruction."
    )
    max_prompt_tokens: Count = Field(
        default=1024, description="Longer instructions lose words from their end."
    )
    max_new_tokens: Count = Field(default=1024, description="Of an answer.")

    @staticmethod
    @abstractmethod
    def conversations(files: Files) -> list[Conversation]:
        """What the models are asked."""

    @staticmethod
    @abstractmethod
    def grade(
        answers: Rows, files: Files, generator: str, ask: Ask
    ) -> tuple[Rows, dict[str, Any]]:
        """One row for each grade, and facts.

        ``answers``: rows ``{id, turn, prompt, answer}``; ``generator``: what the model is
        called. Raises UserError: files that do not fit, and whatever ``ask`` raises.
        """


class FewShot(Benchmark):
    """A few-shot task of lm-evaluation-harness, which asks and grades in one go.

    Class variables: ``task_file``, the package's; ``filters``, the package's names of the
    two readings of an answer (none: see ``Graded``); ``prompt_tokens`` with shots, about;
    ``reply_tokens`` at most.
    """

    measures = (
        Measure("strict", "strict", "Strict, %"),
        Measure("flexible", "flexible", "Flexible, %"),
    )

    task_file: ClassVar[str]
    filters: ClassVar[Mapping[str, str]] = {}
    prompt_tokens: ClassVar[int]
    reply_tokens: ClassVar[int]

    items: Count | None = Field(
        default=None, description="Only the first so many problems; all by default."
    )

    @staticmethod
    @abstractmethod
    def problems(files: Files) -> tuple[Rows, Rows]:
        """The problems that shots are drawn from (none: the package has its own), and those
        that are asked, in their order. Raises UserError: a file is no such file."""


class Graded(FewShot):
    """One whose answers the package does not read in two ways, so that we do."""

    @staticmethod
    @abstractmethod
    def strict(problem: Mapping[str, Any], reply: str) -> bool:
        """Whether a reply is right, read as the shots end."""

    @staticmethod
    @abstractmethod
    def gold(problem: Mapping[str, Any]) -> str:
        """The answer of a problem in LaTeX, which a reply is compared with flexibly."""
