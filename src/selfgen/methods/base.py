"""What a method is: the keys of its section in the configuration, and what is asked of it.

A method is a class. Its fields are what a user may set; its class variables and functions are
what the graph, the plan and the synthetic experiments ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from selfgen.core import names
from selfgen.core.names import Label
from selfgen.core.types import Count, Keys, known, part
from selfgen.generation.spec import Drawing
from selfgen.mixing.mix import Mix

CORRECTION_TOKENS = 32
"""Of the turn that asks for a correction, about."""

LEAD_1, REFERENCE = "lead-1", "reference"
"""What stands in the place of a method: the first sentence of a prompt, which no model wrote,
and the reference answer."""

RESERVED = {
    LEAD_1: "the first sentence of a prompt",
    REFERENCE: "the reference answer",
}
"""Names that no method has."""
MAX_ROUNDS = 1000
"""Maximum number of rounds: each is a pass and a training of its own."""


@dataclass(frozen=True)
class Cost:
    """Tokens that training reads of an example in an epoch, at most: with gradient, and
    ``before`` that without. ``drawn``: those of a pass that it makes itself."""

    trained: int
    before: int = 0
    drawn: int = 0


class Method(Keys):
    """What every method has."""

    if TYPE_CHECKING:

        @property
        def mix(self) -> str:
            """Its name in the configuration, a key of each method's own."""

    label: Label = Field(description="Name in tables and figures.")
    decodings: list[names.Decoding] = Field(
        default=["direct"],
        min_length=1,
        description="`direct` answers; `corrected` is shown that answer and the correction"
        " turn, and answers again; `corrected-2` is shown the corrected answer, and so on.",
    )

    @property
    def kind(self) -> str:
        """What figures colour it as: its ``mix``, but where a key makes another method of
        it."""
        return self.mix

    @property
    def corrects(self) -> bool:
        """Whether it is shown an answer of its own and asked for a better one."""
        return any(names.draft_of(decoding) for decoding in self.decodings)

    def correction_turn(self) -> str | None:
        """A turn of its own that asks for a correction, in the place of the task's."""
        return None


class Trained(Method):
    """What every trained method has.

    Class variables: ``mixed_by``, the keys of it that decide its rows and the function that
    makes them; ``loss``, a name of ``training.spec.LOSSES``; ``graded``, whether its rows are
    made by grades of the task's main metric, and ``checked``, whether by the checker of its
    data set. ``whole_rows``: may a stage ask for the prompts
    too (``loss: all``)? ``on_dialogues``: the values that keys must have where the stage
    trains on whole dialogues or joins other stages; None where it cannot.
    ``mixes_context``: its context differs from the reference at some positions, so others can
    be a control for it.
    ``takes_longer``: than training on the references, so others can be given its time.
    ``in_memory``: its rows are made of records and a pass alone, so synthetic experiments can
    have it.
    """

    mixed_by: ClassVar[type[Mix]]
    loss: ClassVar[Literal["labels", "pairs", "two-pass", "online", "own"]] = "labels"
    graded: ClassVar[bool] = False
    checked: ClassVar[bool] = False
    whole_rows: ClassVar[bool] = False
    on_dialogues: ClassVar[Mapping[str, Any] | None] = None
    mixes_context: ClassVar[bool] = False
    takes_longer: ClassVar[bool] = False
    in_memory: ClassVar[bool] = True

    parent: str = Field(description="The method whose weights training starts from.")
    stage: str = Field(description="The recipe, by its name in `stages`.")

    @property
    def parts(self) -> int:
        """Parts that the stage's steps are cut into."""
        return 1

    def others(self) -> dict[str, str]:
        """The methods that it cannot be had without, by the keys that name them."""
        return {"parent": self.parent}

    def check(self, methods: Mapping[str, Method]) -> None:
        """Raises ValueError where a key does not fit the other methods; it begins with the
        name of the key."""

    def drawing(self, number: int) -> Drawing | None:
        """The pass that the rows of a round are mixed from; rounds are counted from 0."""
        return None

    def reads_pass_of(self) -> str | None:
        """The method whose pass it reads, where that is not its own."""
        return None

    def takes_time_of(self) -> str | None:
        """The method whose time its training takes, in the place of the stage's epochs."""
        return None

    def pairs_from(self) -> str | None:
        """The section of `preferences` that its rows are made of, in the place of records."""
        return None

    def own_code(self) -> dict[str, str]:
        """Functions of the user's own, by the keys that name them: ``function`` makes rows,
        ``loss_function`` is minimised."""
        address = getattr(self, "loss_function", None)
        return {"loss_function": address} if address else {}

    def mixed(self, metric: str, column: str, dataset: str) -> Mix:
        """How its rows are made. ``metric`` and ``column``: how the task grades an answer;
        ``dataset``: of the task."""
        return part(self.mixed_by, self)

    def cost(self, prompt: int, answer: int) -> Cost:
        """Of an example, whose prompt and answer may have so many tokens."""
        return Cost(prompt + answer)

    # In tables of synthetic experiments

    @property
    def plain(self) -> bool:
        """Whether it trains on the references, for as long as its stage says."""
        return False

    @property
    def only_beta(self) -> float | None:
        """The mixing rate of a method that has no other knob turned."""
        return None


class Rounds(Trained):
    """What may be trained in several rounds."""

    rounds: Annotated[Count, Field(le=MAX_ROUNDS)] = Field(
        default=1,
        description="Parts that the stage's steps are cut into. The pass of a part is made"
        " by the model that the part before has trained. The learning rate goes on, the"
        " optimiser's state begins anew.",
    )

    @property
    def parts(self) -> int:
        return self.rounds


def comparable(
    method: Trained, key: str, other: str, methods: Mapping[str, Method], **having: bool
) -> None:
    """Raises ValueError unless ``other``, which ``key`` names, has class variables of these
    values and is of the same stage, so that the rows of both can be compared."""
    allowed = {
        name: one
        for name, one in methods.items()
        if isinstance(one, Trained)
        and all(getattr(one, flag) == value for flag, value in having.items())
    }
    known(key, other, allowed)
    target = allowed[other]
    for field in ("parent", "stage"):
        value, wanted = getattr(target, field), getattr(method, field)
        if value != wanted:
            raise ValueError(
                f"{key}: found {other!r} with {field} {value!r},"
                f" allowed: one with {field} {wanted!r}"
            )
    if target.parts > 1:
        raise ValueError(f"{key}: found {other!r} with rounds > 1, allowed: one round")


def check(
    methods: Mapping[str, Method],
    stages: Mapping[str, Any],
    preferences: Mapping[str, Any],
) -> None:
    """Raises ValueError where methods do not fit each other, or could be confused."""
    for name in methods:
        if name in RESERVED:
            raise ValueError(
                f"methods.{name}: found {name!r}, the name of {RESERVED[name]}; allowed: any"
                " other"
            )
    names.apart(_rows(methods))
    for name, method in methods.items():
        if not isinstance(method, Trained):
            continue
        where = f"methods.{name}"
        known(f"{where}.parent", method.parent, methods)
        known(f"{where}.stage", method.stage, stages)
        _acyclic(name, methods)
        if pairs := method.pairs_from():
            known(f"{where}.preferences", pairs, preferences)
        try:
            method.check(methods)
        except ValueError as error:
            raise ValueError(f"{where}.{error}") from None


def _rows(methods: Mapping[str, Method]) -> Iterator[tuple[str, str]]:
    """The names of all rows that may stand in one table, and where they come from."""
    yield from ((about, name) for name, about in RESERVED.items())
    for name, method in methods.items():
        # Of a trained method direct answers are shown, whether or not they are a row.
        for decoding in dict.fromkeys(("direct", *method.decodings)):
            yield f"methods.{name}.label", names.row_name(method.label, decoding)


def _acyclic(name: str, methods: Mapping[str, Method]) -> None:
    chain = [name]
    while isinstance(method := methods.get(chain[-1]), Trained):
        if method.parent in chain:
            raise ValueError(
                f"methods.{name}.parent: found the cycle"
                f" {' -> '.join([*chain, method.parent])}, allowed is a chain that ends in"
                " a base model"
            )
        chain.append(method.parent)
