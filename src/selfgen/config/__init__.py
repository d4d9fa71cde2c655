"""The typed configuration: every key, its type, its default and why.

The reference (docs/configuration.md) is generated from these classes. A configuration file
stands alone; what it does not say takes the default given here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, create_model, model_validator

from selfgen import benchmarks
from selfgen.benchmarks.base import Benchmark
from selfgen.config import dialogues, errors, joined, judging, sources, tasks
from selfgen.config.dialogues import Dialogues
from selfgen.config.judging import Judge, WinRate
from selfgen.config.several import NameOrNames, RateOrRates
from selfgen.config.sources import File, Model, Wheel
from selfgen.config.tasks import Decoding, Task
from selfgen.core import names
from selfgen.core.errors import UserError
from selfgen.core.text import shown
from selfgen.core.types import (
    Count,
    CountFromTwo,
    Keys,
    Number,
    Seed,
    Seeds,
    Share,
    known,
)
from selfgen.data.prompts import PromptSpec
from selfgen.methods import Method, base
from selfgen.training.spec import Optimization


class Preferences(Keys):
    """Pairs of answers that were judged elsewhere, in one file."""

    file: str = Field(
        description="JSON lines or Parquet with `prompt`, `chosen` and `rejected`, each a"
        " text or a list of messages that ends in the answer; by its name in `files`."
    )
    rows: Count = Field(description="How many pairs, those of the lowest hash.")
    template: str = Field(
        default="{prompt}", description="User message around `{prompt}`."
    )
    max_prompt_tokens: Count = Field(
        default=512, description="Longer prompts lose words from their end."
    )
    max_tokens: Count = Field(
        default=1024, description="Most tokens of prompt and answer together."
    )
    control_tokens: bool = Field(default=False, description=tasks.CONTROL_TOKENS)

    @model_validator(mode="after")
    def _has_room(self) -> Preferences:
        if "{prompt}" not in self.template:
            raise ValueError("template: found no {prompt}, it must hold one")
        if self.max_tokens <= self.max_prompt_tokens:
            raise ValueError(
                f"max_tokens: found {self.max_tokens}, allowed: more than"
                f" max_prompt_tokens, {self.max_prompt_tokens}"
            )
        return self

    def prompt(self) -> PromptSpec:
        """The texts around a pair."""
        return PromptSpec(
            self.template,
            "",
            self.max_prompt_tokens,
            self.max_tokens,
            control_tokens=self.control_tokens,
        )


class Leakage(Keys):
    """The guard between training and held-out prompts."""

    ngram: Count = Field(default=13, description="Words of an n-gram, digits as 0.")
    share: Share = Field(
        default=0.5,
        description="A prompt leaks when this share of its n-grams is in training.",
    )


class Stage(Optimization):
    """One fine-tuning recipe; methods that name the same stage are comparable."""

    learning_rate: RateOrRates = Field(  # type: ignore[assignment]  # or several
        description="Peak rate. A list is a grid: for each task, base model and method the"
        " one with the best score on validation is taken (docs/method.md)."
    )
    epochs: Count = Field(default=1, description="Passes over the training rows.")
    batch_size: Count = Field(default=16, description="Rows of an optimiser step.")
    rows: Count | None = Field(
        default=None,
        description="Of the training records only so many, those of the lowest hash.",
    )
    fresh_rows: bool = Field(
        default=True,
        description="Train on records that the parent has not been trained on: as many again,"
        " which come after those of a task's `train_rows`. `false`: on these again.",
    )
    joins: list[str] | None = Field(
        default=None,
        min_length=2,
        description="Train on the rows of these stages, one after the other, in one schedule"
        " with one optimizer. Only `mix: plain`; its own `epochs`, `batch_size`, `rows` and"
        " `fresh_rows` stay at their defaults.",
    )
    loss: Literal["answers", "all"] = Field(
        default="answers",
        description="What is asked for: the answers, or the prompts too. Drafts never are.",
    )
    dialogues: str | None = Field(
        default=None,
        description="Train on whole dialogues in blocks, not on the task's records: their"
        " name in `dialogues`. Only `mix: plain`, `loss: all`; `batch_size` counts blocks.",
    )

    @property
    def rates(self) -> tuple[float, ...]:
        """Its learning rates, the lowest first: several are tuned."""
        given = self.learning_rate
        return tuple(sorted(given)) if isinstance(given, list) else (given,)


class Oracle(Keys):
    """A model that the others' step errors are measured against (Arora et al. 2022)."""

    method: str = Field(description="Whose weights, of the same task.")
    seed: Seed | None = Field(
        default=None,
        description="Of its training; that of the model it is held against by default. With"
        " one of its own its method is held against it, too, which shows how large the"
        " numbers of two models of one recipe are.",
    )
    model: str | None = Field(
        default=None,
        description="Its base model, with the same vocabulary; each model's own by default.",
    )
    prompts: Count = Field(default=64, description="Held-out prompts of a task.")
    lengths: list[Count] = Field(
        default=[8, 16, 32],
        min_length=1,
        description="Up to which steps of an answer. `evaluation.measure` takes the largest"
        " of them that a quarter of the answers and references have.",
    )
    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=1.0, description="Of the answers that make the free-running contexts."
    )


class Measured(Keys):
    """All measures of exposure bias (docs/measure.md), of every method or of some; with the
    steps of a task's checker and with `oracle`, where there are such."""

    prompts: CountFromTwo = Field(default=64, description="Held-out prompts of a task.")
    planted: Count = Field(
        default=4, description="Tokens of a reference that are replaced at once."
    )
    methods: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Their names; all methods by default. On the page of a task the first is"
        " held against the others.",
    )


class Primary(Keys):
    """Which methods' differences to `baseline` are the question, on the first metric of which
    tasks. Two marks are corrected for how many these are; all other comparisons are
    exploratory and have one mark at most (docs/statistics.md)."""

    methods: list[str] | None = Field(
        default=None, min_length=1, description="Their names; all methods by default."
    )
    tasks: list[str] | None = Field(
        default=None, min_length=1, description="Their names; all tasks by default."
    )


class _Evaluation(Keys):
    """What is read from the answers."""

    split: Literal["test", "validation"] = Field(
        default="test", description="Choose hyperparameters on `validation` only."
    )
    baseline: NameOrNames = Field(
        default="sft-continued",
        description="Method that the others are compared with. Of a list, for each task and"
        " base model the one with the best score on validation, over all seeds.",
    )
    oracle: Oracle | None = Field(
        default=None, description="Measure exposure bias on open text; off by default."
    )
    measure: Measured | None = Field(
        default=None, description="The instrument for exposure bias; off by default."
    )
    win_rates: dict[str, WinRate] = Field(
        default={}, description="Pairwise comparisons, each a table of its own."
    )
    values: str | None = Field(
        default=None,
        description="Known numbers that results are held against, e.g."
        " `config/paper_values.yaml`.",
    )
    primary: Primary = Field(
        default=Primary(),
        description="The comparisons that are asked for, declared before the run.",
    )
    confidence: Annotated[Number, Field(gt=0, lt=1)] = Field(
        default=0.95, description="Of every interval."
    )

    @property
    def baselines(self) -> tuple[str, ...]:
        """The candidates for the baseline; mostly one."""
        given = self.baseline
        return tuple(given) if isinstance(given, list) else (given,)

    def benchmarks(self) -> dict[str, Benchmark]:
        """The benchmarks that are asked for, by name."""
        sections = {x: getattr(self, benchmarks.key(x)) for x in benchmarks.BENCHMARKS}
        return {name: section for name, section in sections.items() if section}


if TYPE_CHECKING:
    Evaluation = _Evaluation
else:
    # A key for each benchmark.
    Evaluation = create_model(
        "Evaluation",
        __base__=_Evaluation,
        __doc__=_Evaluation.__doc__,
        **{
            benchmarks.key(name): (
                kind | None,
                Field(default=None, description=f"{kind.title}; off by default."),
            )
            for name, kind in benchmarks.BENCHMARKS.items()
        },
    )


class Generation(Keys):
    """Who writes free-running text, that is answers and drafts."""

    backend: Literal["selfgen", "vllm"] = Field(
        default="selfgen",
        description="`vllm` needs an environment of its own (docs/paper.md). Forced passes"
        " and benchmarks are always `selfgen`'s.",
    )


class Config(Keys):
    """The whole experiment."""

    scale: str = Field(
        pattern=names.NAME,
        max_length=names.MAX_NAME,
        description="Name of this scale, shown in tables.",
    )
    seeds: Seeds = Field(
        default=[0], description="Each names a whole chain from SFT on."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where models run."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="bf16: autocast over fp32 weights in training, bf16 weights in"
        " generation. auto: where products of the model's shapes are measured to be at"
        " least 1.2 times as fast in it.",
    )
    keep_weights: bool = Field(
        default=True,
        description="Fine-tuned weights stay. `false`: they go when no further job needs"
        " them.",
    )
    generation: Generation = Field(
        default=Generation(), description="Who writes answers and drafts."
    )
    sources: dict[str, Wheel] = Field(
        default={}, description="Further pinned files; the shipped ones are known."
    )
    files: dict[str, File] = Field(
        default={}, description="Further files; the shipped ones are known."
    )
    unpinned: list[str] = Field(
        default=[],
        description="Repositories of the hub that may have a branch or a tag as"
        " `revision`: what they hold can change. A manifest says which commit it was.",
    )
    models: dict[str, Model] = Field(min_length=1, description="Base models.")
    tasks: dict[str, Task] = Field(min_length=1, description="Tasks.")
    stages: dict[str, Stage] = Field(min_length=1, description="Fine-tuning recipes.")
    methods: dict[str, Method] = Field(min_length=1, description="What is compared.")
    preferences: dict[str, Preferences] = Field(
        default={}, description="Judged pairs that methods with `mix: pairs` train on."
    )
    dialogues: dict[str, Dialogues] = Field(
        default={}, description="Whole dialogues that stages train on in blocks."
    )
    decoding: Decoding = Field(default=Decoding(), description="Answers.")
    evaluation: Evaluation = Field(default=Evaluation(), description="Scores.")
    judges: dict[str, Judge] = Field(
        default={}, description="Who decides comparisons: models, or proxies."
    )
    leakage: Leakage = Field(default=Leakage(), description="Leakage guard.")

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        for group in type(self).model_fields:
            if isinstance(value := getattr(self, group), dict):
                names.check(group, value)
        names.check("evaluation.win_rates", self.evaluation.win_rates)
        base.check(self.methods, self.stages, self.preferences)
        for name in self.evaluation.baselines:
            known("evaluation.baseline", name, self.methods)
        primary = self.evaluation.primary
        for name in primary.methods or ():
            known("evaluation.primary.methods", name, self.methods)
        for name in primary.tasks or ():
            known("evaluation.primary.tasks", name, self.tasks)
        measure = self.evaluation.measure
        for name in (measure.methods or ()) if measure else ():
            known("evaluation.measure.methods", name, self.methods)
        if oracle := self.evaluation.oracle:
            known("evaluation.oracle.method", oracle.method, self.methods)
            if oracle.model:
                known("evaluation.oracle.model", oracle.model, self.models)
        sources.check(self.models, self.files, self.unpinned)
        tasks.check(self)
        dialogues.check(self)
        joined.check(self)
        judging.check(self.evaluation.win_rates, self.judges, self.tasks, self.methods)
        for name, section in self.evaluation.benchmarks().items():
            where = f"evaluation.{benchmarks.key(name)}"
            judging.check_benchmark(where, section, self.judges, self.tasks)
        return self


def load(raw: dict[str, Any]) -> Config:
    """The checked configuration; raises UserError with one line for each problem."""
    return checked(Config, raw)


Section = TypeVar("Section", bound=Keys)


def checked(section: type[Section], raw: dict[str, Any]) -> Section:
    """``raw`` as a section; raises UserError with one line for each problem."""
    try:
        return section.model_validate(_plain(raw))
    except ValidationError as error:
        # A key or a value may hold line breaks, or control a terminal; a problem has one
        # line all the same.
        said = (errors.explain(problem, raw, section) for problem in error.errors())
        lines = [shown(" ".join(text.split())) for text in said]
        raise UserError("\n".join(lines)) from None


def _plain(value: Any) -> Any:
    """Ordinary dicts and lists; Snakemake hands over its own kinds."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
