"""Methods as data: where training starts, what it reads, and how its rows are mixed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from selfgen.core.types import (
    Count,
    CountFromTwo,
    CountOrZero,
    Keys,
    Number,
    Share,
    known,
)
from selfgen.mixing.schedules import KINDS


class Schedule(Keys):
    """How the share of own tokens moves (Bengio et al. 2015). The reference's share at i is
    k - c i (`linear`), k^i (`exponential`) or k / (k + exp(i / k)) (`inverse-sigmoid`), and
    never below 1 - beta. A linear schedule with c < 0 lets the share of own tokens fall."""

    kind: Literal[KINDS] = Field(description="The formula.")
    k: Annotated[Number, Field(gt=0)] = Field(
        description="Its k; at most 1 where `exponential`, at least 1 where"
        " `inverse-sigmoid`."
    )
    c: Number = Field(default=0.0, description="Its slope; `linear` only.")
    over: Literal["steps", "rounds"] = Field(
        default="steps",
        description="What i counts: per cent of the stage's `steps`, or `rounds` from 0.",
    )

    @model_validator(mode="after")
    def _sound(self) -> Schedule:
        if self.kind == "exponential" and self.k > 1:
            raise ValueError(f"k: found {self.k:g}, allowed: at most 1 (exponential)")
        if self.kind == "inverse-sigmoid" and self.k < 1:
            raise ValueError(
                f"k: found {self.k:g}, allowed: at least 1 (inverse-sigmoid)"
            )
        if self.kind != "linear" and self.c:
            raise ValueError(f"c: found {self.c:g}, allowed: only with linear")
        return self


class _Method(Keys):
    label: str = Field(description="Name in tables and figures.")
    decodings: list[Literal["direct", "corrected"]] = Field(
        default=["direct"],
        min_length=1,
        description="`direct` answers; `corrected` is shown it and answers again.",
    )


class Untouched(_Method):
    """The base model as it came."""

    mix: Literal["none"] = Field(description="No training.")


class Trained(_Method):
    """What every trained method has."""

    parent: str = Field(description="The method whose weights training starts from.")
    stage: str = Field(description="The recipe, by its name in `stages`.")
    rows: Literal["same", "fresh"] = Field(
        default="same",
        description="`same` rows as the first stage, or `fresh` ones (as many again).",
    )


class _Rounds(Trained):
    rounds: Count = Field(
        default=1,
        description="Parts that the stage's steps are cut into. The pass of a part is made"
        " by the model that the part before has trained. The learning rate goes on, the"
        " optimiser's state begins anew.",
    )


class Plain(_Rounds):
    """Supervised fine-tuning on the references (teacher forcing)."""

    mix: Literal["plain"] = Field(description="Reference context, reference labels.")
    wall_of: str | None = Field(
        default=None,
        description="A method of the same stage: train as long as its pass and its"
        " training took together. The number of steps then depends on the machine.",
    )


class _Drawn(Keys):
    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=1.0, description="Of the self-generated tokens; 0 is greedy."
    )
    top_k: CountOrZero = Field(default=0, description="0 is off.")
    top_p: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=1.0, description="1 is off."
    )


class _Mixed(Keys):
    beta: Share = Field(
        default=0.25, description="Probability that a context token is the model's."
    )
    schedule: Schedule | None = Field(
        default=None, description="Moves the probability, with `beta` as its most."
    )


class Bash(_Rounds, _Mixed, _Drawn):
    """Batch-Scheduled Sampling: mixed context, reference labels."""

    mix: Literal["bash"] = Field(description="Self-generated tokens in the context.")
    draw: Literal["exact", "onepass"] = Field(
        default="exact",
        description="`exact`: left to right on the mixed prefix; `onepass`: from the"
        " reference prefix, cheaper and another distribution.",
    )
    span: Count = Field(
        default=1,
        description="Own tokens come in runs of so many; beta stays their share.",
    )
    plain_share: Share = Field(
        default=0.0, description="Share of rows that are not mixed."
    )
    eos: Literal["exclude", "keep"] = Field(
        default="exclude", description="May the model draw EOS before the end?"
    )


class Random(Trained):
    """A control for BASH: other wrong tokens at exactly the same positions."""

    mix: Literal["random"] = Field(
        description="Where the rows of `like` differ from the reference, a token of the"
        " answers' unigram distribution."
    )
    like: str = Field(
        description="A `bash` method with the same parent, stage and rows."
    )


class TwoPass(Trained, _Mixed):
    """Two-pass scheduled sampling (Mihaylova and Martins 2019): own tokens of the model
    that is being trained, drawn from the reference prefix in every step."""

    mix: Literal["two-pass"] = Field(
        description="Mixed while training, no pass before."
    )
    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=1.0, description="Of the self-generated tokens; 0 is greedy."
    )


class Rac(_Rounds, _Drawn):
    """Reference-Answer-based Correction: learn to correct one's own draft."""

    mix: Literal["rac"] = Field(description="Draft and correction turn as context.")
    correction_share: Share = Field(
        default=0.5, description="Share of correction rows; the others are plain."
    )
    draft_length: Literal["full", "random"] = Field(
        default="full", description="`random`: the draft is cut after a random word."
    )
    drafts: Literal["own", "another"] = Field(
        default="own",
        description="`another`: the draft of another example, a control.",
    )
    correction: str | None = Field(
        default=None, description="The correction turn; the task's by default."
    )


class _Preference(Keys):
    beta: Annotated[Number, Field(gt=0)] = Field(
        default=0.1, description="Scale of the log-ratios, as in DPO."
    )
    sft_weight: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="Weight of the cross-entropy of the chosen answer."
    )


class Spin(_Rounds, _Preference, _Drawn):
    """Self-play fine-tuning (Chen et al. 2024): the reference over one's own answer."""

    mix: Literal["spin"] = Field(description="Pairs: reference over own answer.")


class Dpo(Trained, _Preference, _Drawn):
    """Direct preference optimisation (Rafailov et al. 2023) on graded own answers."""

    mix: Literal["dpo"] = Field(
        description="Pairs: the best of some own answers over the worst, as the task's"
        " main metric grades them; examples with equal ones are left out."
    )
    candidates: CountFromTwo = Field(
        default=4, description="Own answers of an example and epoch."
    )


class Pairs(Trained, _Preference):
    """Direct preference optimisation on answers that others have written and judged."""

    mix: Literal["pairs"] = Field(description="Pairs: as a file has them.")
    preferences: str = Field(description="Which pairs, by their name in `preferences`.")


class Custom(Trained, _Drawn):
    """A mixing function of one's own; see docs/own-method.md."""

    mix: Literal["custom"] = Field(description="Rows made by a function of yours.")
    function: str = Field(
        pattern=r"^[^:]+\.py:\w+$",
        description="`FILE.py:NAME`; the file is found from the repository's root.",
    )
    reads: Literal["nothing", "forced", "onepass", "free"] = Field(
        default="nothing", description="The pass whose tokens or texts it is given."
    )
    beta: Share = Field(
        default=1.0, description="Share of own tokens in a `forced` or `onepass` pass."
    )


Method = Annotated[
    Untouched | Plain | Bash | Random | TwoPass | Rac | Spin | Dpo | Pairs | Custom,
    Field(discriminator="mix"),
]
BY_MIX = {
    "none": Untouched,
    "plain": Plain,
    "bash": Bash,
    "random": Random,
    "two-pass": TwoPass,
    "rac": Rac,
    "spin": Spin,
    "dpo": Dpo,
    "pairs": Pairs,
    "custom": Custom,
}


PREFERENCES = (Spin, Dpo, Pairs)
"""Methods whose loss is that of DPO."""


def check(
    methods: dict[str, Any], stages: dict[str, Any], preferences: dict[str, Any]
) -> None:
    """Raises ValueError where methods do not fit each other."""
    for name, method in methods.items():
        if not isinstance(method, Trained):
            continue
        where = f"methods.{name}"
        known(f"{where}.parent", method.parent, methods)
        known(f"{where}.stage", method.stage, stages)
        _acyclic(name, methods)
        schedule = getattr(method, "schedule", None)
        if schedule and schedule.over == "rounds" and getattr(method, "rounds", 1) == 1:
            raise ValueError(
                f"{where}.schedule.over: found 'rounds', allowed: only with rounds > 1"
            )
        if isinstance(method, Rac) and method.drafts == "another" and method.rounds > 1:
            raise ValueError(f"{where}.rounds: allowed with drafts 'another': 1")
        if isinstance(method, Pairs):
            known(f"{where}.preferences", method.preferences, preferences)
            if method.rows == "fresh":
                raise ValueError(f"{where}.rows: allowed with pairs: same")
        if isinstance(method, Random):
            _alike(name, "like", method.like, methods, (Bash,))
        if isinstance(method, Plain) and method.wall_of:
            kinds = (Bash, Rac, Spin, TwoPass)
            _alike(name, "wall_of", method.wall_of, methods, kinds)
            if method.rounds > 1:
                raise ValueError(f"{where}.rounds: allowed with wall_of: 1")


def _alike(
    name: str, key: str, other: str, methods: dict[str, Any], kinds: tuple[type, ...]
) -> None:
    """The method named by ``key`` is of the same stage, so that rows can be compared."""
    where = f"methods.{name}.{key}"
    allowed = {n: m for n, m in methods.items() if isinstance(m, kinds)}
    known(where, other, allowed)
    for field in ("parent", "stage", "rows"):
        found, wanted = (getattr(m, field) for m in (methods[other], methods[name]))
        if found != wanted:
            raise ValueError(
                f"{where}: found {other!r} with {field} {found!r},"
                f" allowed: one with {field} {wanted!r}"
            )
    if getattr(methods[other], "rounds", 1) > 1:
        raise ValueError(
            f"{where}: found {other!r} with rounds > 1, allowed: one round"
        )


def _acyclic(name: str, methods: dict[str, Any]) -> None:
    chain = [name]
    while isinstance(methods.get(chain[-1]), Trained):
        parent = methods[chain[-1]].parent
        if parent in chain:
            raise ValueError(
                f"methods.{name}.parent: found the cycle"
                f" {' -> '.join([*chain, parent])}, allowed is a chain that ends in a"
                " base model"
            )
        chain.append(parent)
