"""Tasks, and how their answers are generated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from selfgen.config.own_rows import Rows
from selfgen.core.types import Count, CountOrZero, Keys, Number, Seeds, Share, known
from selfgen.methods import TRAINED
from selfgen.methods.base import Trained
from selfgen.tasks import DATASETS
from selfgen.training.spec import NOT_OF_PAIRS

if TYPE_CHECKING:
    from selfgen.config import Config

CORRECTION = "Compare this with the task and write the corrected, final answer."
"""The turn after the draft that asks for a correction; our wording (paper: unknown)."""

CONTROL_TOKENS = (
    "Read control tokens such as `<|im_end|>` that stand in its texts as what they are; by"
    " default they are text, so that no text can forge a turn."
)


class Decoding(Keys):
    """How answers are generated for evaluation."""

    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="0 is greedy."
    )
    top_k: CountOrZero = Field(default=0, description="0 is off.")
    top_p: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=1.0, description="1 is off."
    )


class Task(Rows):
    """A task: a data set, how much of it, and how long its texts may be."""

    train_rows: Count = Field(description="Training records.")
    validation_rows: CountOrZero = Field(
        default=32, description="Validation records: hyperparameters are chosen there."
    )
    test_rows: Count = Field(description="Records of each test split.")
    max_words: Count | None = Field(
        default=None, description="Cap on the words of a story (or of a QA answer)."
    )
    max_reference_words: Count | None = Field(
        default=None, description="Skip references (math: templates) longer than this."
    )
    templates: Count | None = Field(
        default=None,
        description="Math: how many templates to train on, the shortest ones.",
    )
    max_prompt_tokens: Count = Field(
        default=512, description="Longer prompts lose words from the end of their text."
    )
    max_new_tokens: Count = Field(description="Most tokens of an answer, EOS included.")
    template: str | None = Field(
        default=None,
        description="User message around `{prompt}`; the data set's own by default.",
    )
    correction: str = Field(
        default=CORRECTION, description="The turn that asks for a correction (RAC)."
    )
    control_tokens: bool = Field(default=False, description=CONTROL_TOKENS)
    metrics: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Metrics that score its answers, by name, or paths of `evaluate` modules"
        " of your own; the data set's by default. Methods are compared by the first.",
    )
    leakage_limit: Share = Field(
        default=0.02, description="Most of the held-out prompts that may leak."
    )
    models: list[str] | None = Field(
        default=None, min_length=1, description="Its base models; all by default."
    )
    methods: list[str] | None = Field(
        default=None, min_length=1, description="Its methods; all by default."
    )
    seeds: Seeds | None = Field(
        default=None, description="Its seeds; those of all by default."
    )
    stages: dict[str, str] = Field(
        default={},
        description="Stages that take the place of those that methods name: `sft: long-sft`.",
    )
    split: Literal["test", "validation"] | None = Field(
        default=None, description="What its answers are read on; as all by default."
    )
    decoding: Decoding | None = Field(
        default=None, description="How its answers are generated; as all by default."
    )

    @model_validator(mode="after")
    def _has_prompt(self) -> Task:
        if self.template is not None and "{prompt}" not in self.template:
            raise ValueError("template: found no {prompt}, it must hold one")
        return self


def check(config: Config) -> None:
    """Raises ValueError where a task does not fit what it names."""
    for name, task in config.tasks.items():
        where = f"tasks.{name}"
        split = task.split or config.evaluation.split
        if split == "validation" and not task.validation_rows:
            key = f"{where}.split" if task.split else "evaluation.split"
            raise ValueError(
                f"{where}.validation_rows: found 0, allowed: at least 1 where {key} is"
                " 'validation'"
            )
        for model in task.models or ():
            known(f"{where}.models", model, config.models)
        for stage, other in task.stages.items():
            known(f"{where}.stages", stage, config.stages)
            known(f"{where}.stages.{stage}", other, config.stages)
        if len(config.evaluation.baselines) > 1:
            _validated(where, task, "evaluation.baseline is a list")
        for method, trained in config.methods.items():
            if not isinstance(trained, Trained):
                continue
            if trained.checked and method in (task.methods or config.methods):
                _ask_checker(where, method, trained, task.dataset)
            used = task.stages.get(trained.stage, trained.stage)
            recipe = config.stages.get(used)
            own = task.methods is None or method in task.methods
            if own and recipe and len(recipe.rates) > 1:
                key = f"stages.{used}.learning_rate"
                _validated(where, task, f"{key} is a list")
                _tuned(key, method, trained)
            if recipe and recipe.loss == "all":
                _ask_all(f"stages.{used}", method, trained)
            if recipe and not recipe.fresh_rows and trained.pairs_from():
                raise ValueError(
                    f"stages.{used}.fresh_rows: found false with methods.{method} of mix"
                    f" {trained.mix!r}, which reads no records; allowed: true"
                )
            for key, only in NOT_OF_PAIRS.items():
                given = getattr(recipe, key, only)
                if given != only and trained.loss == "pairs":
                    raise ValueError(
                        f"stages.{used}.{key}: found {given!r} for methods.{method},"
                        f" whose loss is a mean over pairs; allowed: {only}"
                    )
            smoothed = getattr(recipe, "label_smoothing", 0)
            if smoothed and "loss_function" in trained.own_code():
                raise ValueError(
                    f"stages.{used}.label_smoothing: found {smoothed} for methods.{method},"
                    " whose loss_function does not read it; allowed: 0"
                )
        allowed = task.methods or []
        for method in allowed:
            known(f"{where}.methods", method, config.methods)
            trained = config.methods[method]
            others = trained.others() if isinstance(trained, Trained) else {}
            for key, needed in others.items():
                if needed not in allowed:
                    raise ValueError(
                        f"{where}.methods: found {method!r} without its {key},"
                        f" {needed!r}"
                    )
        for baseline in config.evaluation.baselines:
            if task.methods and baseline not in task.methods:
                raise ValueError(
                    f"{where}.methods: found none that is evaluation.baseline,"
                    f" {baseline!r}"
                )


def _validated(where: str, task: Task, because: str) -> None:
    if not task.validation_rows:
        raise ValueError(
            f"{where}.validation_rows: found 0, allowed: at least 1 where {because}"
        )


def _tuned(where: str, name: str, method: Trained) -> None:
    if method.parts > 1:
        raise ValueError(
            f"{where}: found a list with methods.{name} of {method.parts} rounds, whose"
            " rates are not tuned; allowed: one rate, or a stage of its own with one"
        )


def _ask_checker(where: str, name: str, method: Trained, dataset: str) -> None:
    if DATASETS[dataset].checker is None:
        allowed = ", ".join(n for n, data in DATASETS.items() if data.checker)
        raise ValueError(
            f"{where}.dataset: found {dataset!r} with methods.{name} of mix {method.mix!r};"
            f" allowed with {allowed}"
        )


def _ask_all(where: str, name: str, method: Trained) -> None:
    if not method.whole_rows:
        allowed = ", ".join(mix for mix, kind in TRAINED.items() if kind.whole_rows)
        raise ValueError(
            f"{where}.loss: found 'all' with methods.{name} of mix {method.mix!r}; allowed"
            f" with {allowed}"
        )
