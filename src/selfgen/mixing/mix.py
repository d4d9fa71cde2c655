"""What a method must say to have its rows made, and what it may read to make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from selfgen.core.hashing import unit
from selfgen.core.types import Keys
from selfgen.data.examples import Example
from selfgen.data.prompts import answer_ids
from selfgen.mixing.rows import Fields, plain
from selfgen.mixing.spec import RowsSpec

if TYPE_CHECKING:
    from selfgen.runtime.job import Job

Records = list[dict[str, Any]]
Grades = Mapping[tuple[str, int], float]
Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Mixing:
    """What a method may read. ``passed``: rows of the pass by (id, epoch); ``grades``
    likewise."""

    spec: RowsSpec[Any]
    tokenizer: Any
    examples: Sequence[Example]
    passed: Mapping[tuple[str, int], Mapping[str, Any]]
    grades: Grades
    kept: dict[Any, Any] = field(default_factory=dict)

    def own(self, i: int, epoch: int) -> Mapping[str, Any]:
        """The row that the pass made of an example: its ``tokens``, or its ``text``."""
        return self.passed[self.examples[i].id, epoch]

    def draw(self, purpose: str, i: int, epoch: int, *place: int) -> float:
        """A number in [0, 1) that depends on the seed and on where it is used."""
        address = "/".join(map(str, (purpose, self.spec.seed, epoch, *place)))
        return unit(self.examples[i].id, address)

    def tokens(self, text: str) -> list[int]:
        """An answer's tokens, closed by EOS and no more than an answer may have."""
        return answer_ids(self.tokenizer, self.spec.prompt, text)

    def once(self, function: Callable[[Mixing], Found]) -> Found:
        """What ``function`` makes of all examples, computed at the first call."""
        if function not in self.kept:
            self.kept[function] = function(self)
        return self.kept[function]


MakeRows = Callable[[Mixing, int, int], Sequence[Fields]]
"""Makes the row, or the pair of rows, of example ``i`` in ``epoch``."""


class Mix(Keys):
    """The keys of a method that decide its rows, and how it makes them."""

    mix: str

    empty: ClassVar[str] = "no row has a label"
    """What is wrong with a pass of which no row is left to train on."""

    @property
    def reads_pass(self) -> bool:
        """Whether it reads a pass."""
        return True

    @property
    def answers_each(self) -> int:
        """Rows that the pass has of an example and epoch; those of epoch e are numbered from
        e times as many."""
        return 1

    def make(self, mixing: Mixing, i: int, epoch: int) -> Sequence[Fields]:
        """The row, or the pair of rows, of example ``i`` in ``epoch``; may be none."""
        raise NotImplementedError

    def read(self, spec: RowsSpec[Any], job: Job) -> tuple[Records, Records] | None:
        """Records and the rows of a pass, where they are not the task's."""
        return None

    def more(self, records: Records, passes: Records, root: Path) -> dict[str, Any]:
        """Further arguments of ``build.stream``. ``root``: where files of one's own lie."""
        return {}


class References(Mix):
    """The references alone, with no pass before."""

    @property
    def reads_pass(self) -> bool:
        return False

    def make(self, mixing: Mixing, i: int, epoch: int) -> list[Fields]:
        example = mixing.examples[i]
        return [plain(example.prompt_ids, example.answer_ids)]
